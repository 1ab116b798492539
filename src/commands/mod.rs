//! One verb per file: wires rooms together, decides nothing.

mod base;
mod beside;
mod chapter;
mod check;
mod choose;
mod copy;
mod destroy;
mod dial;
mod diff;
mod doctor;
mod drivers;
mod explain;
mod export;
mod exports;
mod follow;
mod forward;
mod graph;
mod halt;
mod host;
mod images;
mod init;
mod keep;
mod kubeconfig;
mod leftovers;
mod logs;
mod look;
mod observe;
mod observed;
mod proof;
mod reach;
mod render;
mod rendering;
mod report;
mod schema;
mod signals;
mod silence;
mod ssh;
mod ssh_config;
mod summary;
mod switch;
mod timing;
mod tool;
mod up;
mod validate;
mod version;
mod which;

use crate::cli::{self, BundleAction, Cli, ExportAction, ImageAction, Verb};
use crate::error::{Context, Result};
use crate::event::Reporter;
use crate::network;
use crate::paths::Paths;
use crate::ui::{self, Choice, Ui};
use serde_json::{Value as Json, json as object};
use std::path::Path;

/// What a verb leaves: text for stdout and an exit code.
pub struct Outcome {
    pub text: String,
    pub code: u8,
}

impl From<String> for Outcome {
    fn from(text: String) -> Self {
        Self { text, code: 0 }
    }
}

/// Runs the verb.
pub fn run(cli: Cli) -> Result<Outcome> {
    let runtime = tokio::runtime::Runtime::new().context(|| "start".to_owned())?;
    let colours = match cli.color {
        cli::Colour::Auto => Choice::Auto,
        cli::Colour::Always => Choice::Always,
        cli::Colour::Never => Choice::Never,
    };
    let ui = Ui::coloured(cli.verbose, colours);
    let (paths, reporter) = (Paths::from_env(), ui.reporter());
    let view = View { verbose: cli.verbose, coloured: ui::stdout_is_coloured(colours) };
    let result = runtime.block_on(verb(cli.verb, view, cli.lab.as_deref(), &paths, &reporter));
    ui.finish();
    // What still blocks a thread, as a wait for a process, must not hold up the end.
    runtime.shutdown_background();
    result
}

/// How facts are shown.
#[derive(Clone, Copy)]
struct View {
    verbose: bool,
    coloured: bool,
}

async fn verb(verb: Verb, view: View, lab: Option<&str>, paths: &Paths, reporter: &Reporter) -> Result<Outcome> {
    match verb {
        Verb::Up(args) => up::up(args, paths, reporter).await.map(Outcome::from),
        Verb::Plan(args) => up::show_plan(args.wish, args.json, paths).await.map(Outcome::from),
        Verb::Destroy(args) => destroy::destroy(args, paths, reporter).await.map(Outcome::from),
        Verb::Doctor(args) => doctor::doctor(args, paths).await,
        Verb::Halt(args) => halt::halt(args, paths, reporter).await.map(Outcome::from),
        Verb::Reload(args) => {
            let record = which::record(args.lab.as_deref(), paths)?;
            base::check_can_start(&record)?;
            let offline = record.offline;
            let which = cli::Which { lab: args.lab.clone() };
            reporter.note(halt::halt(args, paths, reporter).await?.trim_end());
            let wish = cli::Wish { which, ..Default::default() };
            let args = cli::Up { wish, offline, ..Default::default() };
            up::up(args, paths, reporter).await.map(Outcome::from)
        }
        Verb::Status(args) => look::status(args, paths).await.map(Outcome::from),
        Verb::List { json } => look::list(json, paths).map(Outcome::from),
        Verb::Validate(args) => validate::validate(&args, paths).map(Outcome::from),
        Verb::Init(args) => init::init(&args).map(Outcome::from),
        Verb::Next(args) => chapter::next(args, paths, reporter).await.map(Outcome::from),
        Verb::Chapters(args) => chapter::chapters(&args, paths).map(Outcome::from),
        Verb::Export { action: ExportAction::Vagrant(args) } => export::export(&args, paths).map(Outcome::from),
        Verb::Schema(args) => Ok(schema::schema(&args).into()),
        Verb::Render(args) => render::render(args, paths).await.map(Outcome::from),
        Verb::Ssh(args) => ssh::ssh(args, paths).await.map(|code| Outcome { text: String::new(), code }),
        Verb::SshConfig(args) => ssh_config::ssh_config(args, paths).await.map(Outcome::from),
        Verb::Cp(args) => copy::copy(args, paths).await.map(|()| String::new().into()),
        Verb::Logs(args) => logs::logs(args, paths).await.map(|()| String::new().into()),
        Verb::Kubeconfig(args) => kubeconfig::kubeconfig(args, paths).await.map(Outcome::from),
        Verb::Forward(args) => forward::forward(args, paths, reporter).await.map(|()| String::new().into()),
        Verb::Tool(words) => Err(tool::tool(&words, lab, paths).await?),
        Verb::Completions { shell } => cli::script(shell).context(|| "write the script".to_owned()).map(Outcome::from),
        Verb::Man { dir } => manual(&dir).map(Outcome::from),
        Verb::Version { json } => Ok(version::version(view.verbose, json, paths).into()),
        Verb::Dial(args) => dial::dial(&args.node, &args.lab, paths).await.map(|()| String::new().into()),
        Verb::Observe(args) => observe::observe(args, paths, reporter).await,
        Verb::Diff(args) => diff::diff(args, view.coloured, paths, reporter).await,
        Verb::Explain(args) => explain::explain(args, paths, reporter).await.map(Outcome::from),
        Verb::Check(args) => check::check(args, view.coloured, paths, reporter).await,
        Verb::Graph(args) => graph::graph(args, paths, reporter).await.map(Outcome::from),
        Verb::Report(args) => report::report(args, paths).map(Outcome::from),
        Verb::Bundle { action } => {
            blocking(paths, reporter, |paths, reporter| match action {
                BundleAction::Build { name } => {
                    images::bundle(&name, paths, false, reporter).map(|b| format!("{}\n", b.dir.display()))
                }
                BundleAction::Show { name, json } => images::show_bundle(&name, json, paths),
            })
            .await
        }
        Verb::Image { action } => {
            blocking(paths, reporter, |paths, reporter| match action {
                ImageAction::Build { name } => {
                    let names = name.map_or_else(crate::embedded::images, |name| vec![name]);
                    let build = |name: &String| images::build_image(name, paths, reporter);
                    names.iter().map(|n| build(n).map(|i| format!("{}\n", i.dir.display()))).collect()
                }
                ImageAction::List { json } => Ok(images::list_images(json, paths)),
            })
            .await
        }
        Verb::Keep { lab, .. } => keep::keep(&lab, paths, reporter).await.map(|()| String::new().into()),
        Verb::Switch { run, networks } => {
            network::process::run(&run, &networks, reporter).await.map(|()| String::new().into())
        }
    }
}

/// Runs what blocks for minutes on a thread of its own.
async fn blocking(
    paths: &Paths,
    reporter: &Reporter,
    work: impl FnOnce(&Paths, &Reporter) -> Result<String> + Send + 'static,
) -> Result<Outcome> {
    let (paths, reporter) = (paths.clone(), reporter.clone());
    let done = tokio::task::spawn_blocking(move || work(&paths, &reporter)).await;
    done.context(|| "build".to_owned())?.map(Outcome::from)
}

/// Facts as JSON: the first key names what it is and its version, which changes when a key goes or changes its meaning.
fn json(what: &str, facts: Json) -> String {
    let mut all = object!({"schema": format!("lab.{what}/1")});
    if let (Some(all), Json::Object(facts)) = (all.as_object_mut(), facts) {
        all.extend(facts);
    }
    format!("{all:#}\n")
}

fn manual(dir: &Path) -> Result<String> {
    let what = || format!("write the manual pages into {}", dir.display());
    std::fs::create_dir_all(dir).context(what)?;
    cli::manual(dir).context(what)?;
    Ok(format!("{}: written; try: man {}\n", dir.display(), dir.join("lab.1").display()))
}
