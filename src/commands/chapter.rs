//! `lab up --chapters`, `lab next` and `lab chapters`: a lab walked through chapter by chapter.

use super::which;
use crate::cli;
use crate::error::{Context, Error, Result};
use crate::event::Reporter;
use crate::lab::model::{Chapter, Lab};
use crate::paths::Paths;
use crate::state::record::LabRecord;
use crate::state::write;
use crate::ui::{page, table};
use serde_json::json;
use std::path::{Path, PathBuf};

/// `lab next`: runs the next chapter and shows its text.
pub async fn next(args: cli::Next, paths: &Paths, reporter: &Reporter) -> Result<String> {
    let record = record(args.which.lab.as_deref(), paths)?;
    let lab = &record.lab;
    if finished(&paths.lab(&lab.name)) >= lab.chapters.len() {
        let first = lab.chapters.first().map_or("", |c| c.name.as_str());
        let again = format!("`lab chapters {first} --lab {}` shows a text again", lab.name);
        return Ok(format!("{}: that was the last chapter; {again}\n", lab.name));
    }
    // The record knows the file; a lab in the box may have the same name.
    let file = record.file.as_ref().filter(|f| f.is_file()).map(|f| f.display().to_string());
    let which = cli::Which { lab: Some(file.unwrap_or_else(|| lab.name.clone())) };
    let up = cli::Up {
        wish: cli::Wish { which, ..cli::Wish::default() },
        chapters: true,
        lang: args.lang,
        offline: record.offline,
        next: true,
        ..cli::Up::default()
    };
    super::up::up(up, paths, reporter).await
}

/// `lab chapters`: their list, or the text of one.
pub fn chapters(args: &cli::Chapters, paths: &Paths) -> Result<String> {
    let lab = which::find(args.lab.as_deref(), &[], paths)?.lab;
    some(&lab)?;
    let language = language(args.lang.as_deref(), |name| std::env::var(name).ok());
    let finished = finished(&paths.lab(&lab.name));
    if args.json {
        let one = |(n, c): (usize, &Chapter)| json!({"name": c.name, "done": n < finished, "texts": c.text});
        let all: Vec<_> = lab.chapters.iter().enumerate().map(one).collect();
        return Ok(super::json("chapters", json!({"lab": lab.name, "chapters": all})));
    }
    let Some(name) = &args.chapter else {
        let state = |number: usize| if number < finished { "done" } else { "-" };
        let row = |(n, c): (usize, &Chapter)| vec![c.name.clone(), state(n).into(), c.title_in(&language).into()];
        let rows: Vec<Vec<String>> = lab.chapters.iter().enumerate().map(row).collect();
        return Ok(table(&["CHAPTER", "STATE", "TITLE"], &rows));
    };
    let found = lab.chapters.iter().find(|c| c.name == *name);
    let chapter = found.ok_or_else(|| {
        let known: Vec<&str> = lab.chapters.iter().map(|c| c.name.as_str()).collect();
        let why = format!("the lab {} has {}", lab.name, known.join(", "));
        which::near(Error::input(format!("show the chapter {name}"), why), name, known)
    })?;
    Ok(page(chapter.text_in(&language)).trim_end().to_owned() + "\n")
}

fn record(named: Option<&str>, paths: &Paths) -> Result<LabRecord> {
    let name = which::name(named, paths)?;
    let missing = || {
        let hint = named.map_or("lab up --chapters".to_owned(), |named| format!("lab up {named} --chapters"));
        Error::input(format!("go on in the lab {name}"), "it does not exist").hint(hint)
    };
    let record = LabRecord::load(paths, &name)?.ok_or_else(missing)?;
    some(&record.lab)?;
    Ok(record)
}

fn some(lab: &Lab) -> Result<()> {
    let none = || Error::input(format!("walk through the lab {}", lab.name), "its lab file has no chapters");
    if lab.chapters.is_empty() { Err(none()) } else { Ok(()) }
}

/// The chapter that a run goes to: the one after those that are finished, or again the last one of them.
pub fn goal(lab: &Lab, next: bool, dir: &Path) -> Result<usize> {
    some(lab)?;
    let finished = finished(dir).min(lab.chapters.len());
    Ok(if next { finished.min(lab.chapters.len() - 1) } else { finished.saturating_sub(1) })
}

/// Keeps that the chapter is finished, and shows its text.
pub fn finish(lab: &Lab, number: usize, language: Option<&str>, paths: &Paths) -> Result<String> {
    keep(&paths.lab(&lab.name), number + 1)?;
    // The command that is told speaks the language that was asked for.
    let option = language.map(|code| format!(" --lang {code}")).unwrap_or_default();
    let language = self::language(language, |name| std::env::var(name).ok());
    let Some(chapter) = lab.chapters.get(number) else { return Ok(String::new()) };
    let count = format!("Chapter {} of {} ({})", number + 1, lab.chapters.len(), chapter.name);
    let next = match lab.chapters.get(number + 1) {
        Some(next) => {
            format!("lab next{}{option} goes on: {}", which::word(&lab.name, paths), next.title_in(&language))
        }
        None => format!("that was the last chapter; lab destroy {} removes everything", lab.name),
    };
    Ok(format!("\n{}{count}; {next}\n", page(chapter.text_in(&language))))
}

/// Keeps that all chapters are finished: a run without stops.
pub fn finish_all(lab: &Lab, dir: &Path) -> Result<()> {
    if lab.chapters.is_empty() { Ok(()) } else { keep(dir, lab.chapters.len()) }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("chapters")
}

/// How many chapters are finished.
fn finished(dir: &Path) -> usize {
    std::fs::read_to_string(file(dir)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn keep(dir: &Path, count: usize) -> Result<()> {
    write::atomically(&file(dir), format!("{count}\n").as_bytes(), 0o600).context(|| "keep the chapter".to_owned())
}

/// The language of texts: the one asked for, else the locale's.
fn language(asked: Option<&str>, var: impl Fn(&str) -> Option<String>) -> String {
    if let Some(asked) = asked {
        return asked.to_lowercase();
    }
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| var(name).filter(|v| !v.is_empty()));
    let word: String = locale.unwrap_or_default().chars().take_while(char::is_ascii_lowercase).collect();
    if word.len() == 2 { word } else { "en".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_chooses_the_language_and_the_option_wins() {
        let with = |asked: Option<&str>, name: &'static str, value: &'static str| {
            language(asked, |n| (n == name).then(|| value.to_owned()))
        };
        assert_eq!(with(None, "LANG", "ko_KR.UTF-8"), "ko");
        assert_eq!(with(None, "LC_ALL", "C.UTF-8"), "en");
        assert_eq!(with(None, "LANG", "POSIX"), "en");
        assert_eq!(with(None, "NONE", ""), "en");
        assert_eq!(with(Some("ko"), "LANG", "de_DE.UTF-8"), "ko");
    }
}
