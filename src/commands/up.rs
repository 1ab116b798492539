//! `lab up` and `lab plan`.

use super::base::{self, Base};
use super::choose::{self, problems, together, wanted};
use super::drivers::{self, AnyDriver, SshReach};
use super::signals::Stop;
use super::timing::Timing;
use super::{chapter, exports, host, images, keep, proof, silence, which};
use crate::cli;
use crate::driver::fake::{Fake, FakeReach};
use crate::driver::{Driver, NodeSpec, NodeState, container};
use crate::error::{Context as _, Error, Result};
use crate::event::{Event, Reporter};
use crate::executor::{Context, Reach, execute};
use crate::lab::model::{Lab, NetworkKind};
use crate::network;
use crate::paths::Paths;
use crate::plan::{self, Known, Selection, Task, Verdict, plan, select, show};
use crate::seed::Seed;
use crate::ssh::KeyPair;
use crate::state::journal::{Journal, What, now};
use crate::state::ledger::{self, Thing};
use crate::state::record::{LabRecord, place};
use crate::state::{birth, lock, outputs, owner};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Instant;

/// `lab up`: image, nodes, steps.
pub async fn up(args: cli::Up, paths: &Paths, reporter: &Reporter) -> Result<String> {
    if args.dry_run {
        return show_plan(args.wish, false, paths).await;
    }
    let stop = Stop::listen()?;
    tokio::select! {
        result = bring_up(args, paths, reporter, &stop) => result,
        error = stop.before_running("finish `up`") => Err(error),
    }
}

async fn bring_up(args: cli::Up, paths: &Paths, reporter: &Reporter, stop: &Stop) -> Result<String> {
    let begun = Instant::now();
    let found = which::find_with(args.wish.which.lab.as_deref(), &args.wish.values, paths)?;
    let lab = found.lab;
    plan::check(&lab, &selection(&args.wish))?;
    let dir = paths.lab(&lab.name);
    let chapter = if args.chapters { Some(chapter::goal(&lab, args.next, &dir)?) } else { None };
    if !dir.exists() {
        together(host::basics(paths))?;
    }
    Paths::make_private(&dir)?;
    let lock = lock::acquire(&dir.join("lock"), &lab.name)?;
    let old = LabRecord::load(paths, &lab.name)?;
    let wanted = wanted(args.wish.driver, &lab, old.as_ref())?;
    check_unchanged(&lab, old.as_ref())?;
    if old.is_none() {
        // Before the image is built, which takes a while, and before anything is made.
        let problems = together(problems(&wanted, &lab.nodes, paths).await);
        if problems.is_err() {
            std::fs::remove_dir_all(&dir).context(|| "take back the lab's folder".to_owned())?;
        }
        problems?;
    }
    let recipe = images::Wanted::of(&lab.image, found.file.as_deref());
    let base = base::of(recipe, &wanted, old.as_ref(), args.offline, paths, reporter).await?;
    if choose::goes_inside(&wanted, &lab.nodes, &base.image, paths).await? {
        // The lock goes with this program; the same words find the image in the cache there.
        let places: Vec<_> = lab.nodes.iter().map(|node| place(paths, &lab.name, &node.name)).collect();
        return Err(container::enter(&places, &drivers::ourselves(std::env::args_os().skip(1), paths)?));
    }
    let (driver, line) = choose::driver(&wanted, &lab.nodes, &base.image, paths).await?;
    reporter.note(line);
    let base = match &old {
        Some(old) => base::settle(old, base, &driver, paths).await?,
        None => base,
    };
    if driver.facts().name == "container" {
        let (image, reporter) = (base.image.clone(), reporter.clone());
        let unpacked = tokio::task::spawn_blocking(move || images::unpack(&image, &reporter));
        unpacked.await.context(|| "unpack the image".to_owned())??;
    }
    let fresh = missing(&driver, &lab, paths).await?;
    together(driver.preflight(&fresh).await)?;
    let mut record = record(old, lab, &driver.facts().name, args.offline, base, found.file)?;
    exports::reserve(&mut record, paths)?;
    record.save(paths)?;
    let end = chapter.and_then(|n| record.lab.chapters.get(n)).map(|c| c.end);
    let wish = Selection { end, ..selection(&args.wish) };
    let kind = if driver.facts().emulated { "emulated" } else { driver.facts().name.as_str() };
    let (timing, watched) = Timing::watch(kind, &record.lab.name, paths, reporter);
    let ran = run(&record, &driver, &wish, &timing.expected(), paths, &watched, stop).await;
    // Also of a run that failed: what it finished is what it took.
    timing.keep();
    ran?;
    let part = wish.to.is_some() || !wish.only.is_empty();
    if !part && end.is_none_or(|end| end >= record.lab.steps.len()) {
        proof::prove(&record, paths, reporter).await?;
    }
    if let Some(number) = chapter {
        return chapter::finish(&record.lab, number, args.lang.as_deref(), paths);
    }
    let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    let (name, time) = (&record.lab.name, crate::ui::duration(millis));
    if part {
        return Ok(format!("{name}: done as far as you said, in {time}; go on: lab up {name}\n"));
    }
    chapter::finish_all(&record.lab, &dir)?;
    let summary = super::summary::summary(&record, !timing.phases().is_empty(), paths);
    drop(lock);
    let next = super::summary::next(&record.lab, paths);
    Ok(format!("{summary}{}\n{name} is up, in {time}. Next:\n{next}", timing.table()))
}

/// `lab plan`: what `up` would do, changing nothing.
pub async fn show_plan(wish: cli::Wish, as_json: bool, paths: &Paths) -> Result<String> {
    let lab = which::find_with(wish.which.lab.as_deref(), &wish.values, paths)?.lab;
    let old = LabRecord::load(paths, &lab.name)?;
    let wanted = wanted(wish.driver, &lab, old.as_ref())?;
    let Some(old) = old else {
        // Nothing exists, so everything would run whatever the driver: its facts only tell what has changed.
        let tasks = make_plan(&lab, None, &AnyDriver::Fake(Fake::new()), &[], paths).await?;
        return shown(&lab, tasks, &wish, as_json);
    };
    let (driver, _) = choose::driver(&wanted, &lab.nodes, &old.image, paths).await?;
    let records = Journal::look(&paths.lab(&lab.name).join("journal"));
    shown(&lab, make_plan(&lab, Some(&old), &driver, &records, paths).await?, &wish, as_json)
}

fn shown(lab: &Lab, tasks: Vec<Task>, wish: &cli::Wish, as_json: bool) -> Result<String> {
    let tasks = select(lab, tasks, &selection(wish))?;
    Ok(if as_json { super::json("plan", plan::json(lab, &tasks)) } else { show(lab, &tasks) })
}

/// The part of the plan that is meant.
fn selection(wish: &cli::Wish) -> Selection {
    Selection { to: wish.to.clone(), from: wish.from.clone(), only: wish.only.clone(), end: None }
}

/// What nodes are made of cannot change under them.
fn check_unchanged(lab: &Lab, old: Option<&LabRecord>) -> Result<()> {
    let Some(old) = old else { return Ok(()) };
    let same = old.lab.networks == lab.networks && old.lab.nodes == lab.nodes && old.lab.image == lab.image;
    if same {
        return Ok(());
    }
    let why = "its nodes, networks or image say something else than when they were made";
    Err(Error::input(format!("use the lab {}", lab.name), why).hint(format!("`lab destroy {}` first", lab.name)))
}

/// The nodes that are still to be made: only for them must the host have room.
async fn missing(driver: &AnyDriver, lab: &Lab, paths: &Paths) -> Result<Vec<crate::lab::model::Node>> {
    let mut nodes = Vec::new();
    for node in &lab.nodes {
        if !matches!(driver.inspect(&place(paths, &lab.name, &node.name)).await?, NodeState::Running(_)) {
            nodes.push(node.clone());
        }
    }
    Ok(nodes)
}

fn record(
    old: Option<LabRecord>,
    lab: Lab,
    driver: &str,
    offline: bool,
    base: Base,
    file: Option<std::path::PathBuf>,
) -> Result<LabRecord> {
    let Base { image, content } = base;
    if let Some(old) = old {
        return Ok(LabRecord { lab, offline, image, content, file, ..old });
    }
    let mut host_keys = BTreeMap::new();
    for node in &lab.nodes {
        host_keys.insert(node.name.clone(), KeyPair::generate(&node.name)?);
    }
    let login = KeyPair::generate(&format!("lab-{}", lab.name))?;
    let forwards = BTreeMap::new();
    Ok(LabRecord { lab, driver: driver.to_owned(), offline, image, content, file, login, host_keys, forwards })
}

async fn make_plan(
    lab: &Lab,
    record: Option<&LabRecord>,
    driver: &AnyDriver,
    records: &[crate::state::journal::Record],
    paths: &Paths,
) -> Result<Vec<Task>> {
    let (mut running, mut absent, mut births) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
    for node in &lab.nodes {
        let place = place(paths, &lab.name, &node.name);
        births.insert(node.name.clone(), birth::read(&place.dir));
        match driver.inspect(&place).await? {
            NodeState::Running(endpoint) => drop(running.insert(node.name.clone(), endpoint)),
            NodeState::Absent => drop(absent.insert(node.name.clone())),
            NodeState::Stopped => {}
        }
    }
    let silent = match record {
        Some(record) => silence::among(record, driver, &running, paths).await.into_keys().collect(),
        None => BTreeSet::new(),
    };
    let running: BTreeSet<String> = running.into_keys().filter(|node| !silent.contains(node)).collect();
    let dir = paths.lab(&lab.name);
    let done = records.iter().filter(|r| r.what == What::Done).map(|r| r.task.clone());
    let lost_outputs: BTreeSet<String> = done.filter(|task| outputs::load(&dir, task).is_none()).collect();
    let (facts, now) = (driver.facts(), now());
    let (running, silent, absent, births, lost_outputs) = (&running, &silent, &absent, &births, &lost_outputs);
    Ok(plan(lab, &Known { facts, records, running, silent, absent, births, lost_outputs, now }))
}

/// Runs what is meant of the plan.
async fn run(
    record: &LabRecord,
    driver: &AnyDriver,
    wish: &Selection,
    earlier: &BTreeMap<String, u64>,
    paths: &Paths,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<()> {
    let lab = &record.lab;
    let dir = paths.lab(&lab.name);
    let journal = Journal::open(&dir.join("journal"))?;
    let tasks = select(lab, make_plan(lab, Some(record), driver, journal.records(), paths).await?, wish)?;
    let run_dir = paths.lab_run(&lab.name);
    note(record, paths)?;
    owner::make(paths, &lab.name)?;
    let segments = segments(lab);
    if record.driver == "qemu" && !segments.is_empty() {
        // Also for a lab that has nothing to do: a switch that died comes back, and the nodes connect again.
        network::process::spawn(&run_dir, &segments).await?;
    }
    if record.driver == "container" {
        keep::spawn(&lab.name, &run_dir).await?;
    }
    if tasks.iter().all(|t| t.verdict == Verdict::Done) {
        return Ok(());
    }
    if let Some(whole) = plan::expected(&tasks, earlier) {
        reporter.send(Event::Expected { tasks: earlier.clone(), whole });
    }
    let specs = specs(record, paths);
    let journal = Mutex::new(journal);
    let work = async {
        match driver {
            AnyDriver::Fake(fake) => {
                let reach = FakeReach { nodes: dir.join("nodes") };
                go(record, &tasks, &specs, fake, &reach, &dir, &journal, reporter, stop).await
            }
            AnyDriver::Qemu(_) | AnyDriver::Container(_) => {
                let reach = SshReach { record, slowness: driver.facts().slowness };
                go(record, &tasks, &specs, driver, &reach, &dir, &journal, reporter, stop).await
            }
        }
    };
    let segments = if record.driver == "qemu" { segments } else { Vec::new() };
    tokio::select! {
        done = work => done,
        () = super::switch::tend(&run_dir, &segments, reporter) => Ok(())
    }
}

#[expect(clippy::too_many_arguments, reason = "the parts of the executor's context, which is made here")]
async fn go<D: Driver, C: Reach>(
    record: &LabRecord,
    tasks: &[Task],
    specs: &BTreeMap<String, NodeSpec>,
    driver: &D,
    reach: &C,
    dir: &std::path::Path,
    journal: &Mutex<Journal>,
    reporter: &Reporter,
    stop: &Stop,
) -> Result<()> {
    let context =
        Context { lab: &record.lab, tasks, specs, driver, reach, forwards: &record.forwards, dir, journal, reporter };
    stop.running();
    let done = execute(&context, stop.asked(1), stop.asked(2)).await;
    stop.done();
    done
}

/// Writes down what the lab will have outside its folder, before any of it is made.
fn note(record: &LabRecord, paths: &Paths) -> Result<()> {
    let name = &record.lab.name;
    let mut things = vec![Thing::Sockets(paths.lab_run(name))];
    for node in &record.lab.nodes {
        things.push(Thing::Node { driver: record.driver.clone(), place: place(paths, name, &node.name) });
    }
    ledger::note(&paths.lab(name), &things)
}

/// The names of the lab's host-only networks.
fn segments(lab: &Lab) -> Vec<String> {
    let own = lab.networks.iter().filter(|n| n.kind != NetworkKind::Nat);
    own.map(|n| n.name.clone()).collect()
}

/// What each node of a lab is made from.
pub fn specs(record: &LabRecord, paths: &Paths) -> BTreeMap<String, NodeSpec> {
    let lab = &record.lab;
    let hosts = Seed::hosts_of(lab);
    let run = paths.lab_run(&lab.name);
    let mut all = BTreeMap::new();
    for node in &lab.nodes {
        let Some(keys) = record.host_keys.get(&node.name) else { continue };
        let seed = Seed {
            hostname: node.name.clone(),
            authorized_key: record.login.public.clone(),
            host_key: keys.private.clone(),
            host_key_public: keys.public.clone(),
            hosts: hosts.clone(),
        };
        let ports = segments(lab).into_iter().map(|n| {
            let socket = network::socket(&run, &n);
            (n, socket)
        });
        let spec = NodeSpec {
            lab: lab.name.clone(),
            node: node.clone(),
            place: place(paths, &lab.name, &node.name),
            image: record.image.clone(),
            seed,
            offline: record.offline,
            ports: ports.collect(),
        };
        all.insert(node.name.clone(), spec);
    }
    all
}
