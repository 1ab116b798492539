//! One verb per file: wires rooms together, decides nothing.

mod images;

use crate::cli::{BundleAction, Cli, ImageAction, Verb};
use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::ui::Ui;

/// Runs the verb; returns what goes to stdout.
pub fn run(cli: Cli) -> Result<String> {
    let paths = Paths::from_env();
    let ui = Ui::new(cli.verbose);
    let reporter = ui.reporter();
    let result = match cli.verb {
        Verb::Bundle { action: BundleAction::Build { name } } => {
            images::bundle(&name, &paths, false, &reporter).map(|b| format!("{}\n", b.dir.display()))
        }
        Verb::Bundle { action: BundleAction::Show { name, json } } => images::show_bundle(&name, json, &paths),
        Verb::Image { action: ImageAction::Build { name } } => {
            images::build_image(&name, &paths, &reporter).map(|i| format!("{}\n", i.dir.display()))
        }
        Verb::Image { action: ImageAction::List } => Ok(images::list_images(&paths)),
        _ => Err(Error::failed("run this", "not there yet")),
    };
    ui.finish();
    result
}
