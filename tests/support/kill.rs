//! The kill harness: SIGKILL of `lab`, or of something that it made, at instants of an `up` that a seed chooses, then `up`
//! and `destroy`.

use crate::support::Home;
use std::io::{BufRead, BufReader, Lines};
use std::ops::Range;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is killed, and how it is told that all is well.
pub struct Subject<'a> {
    pub up: &'a [&'a str],
    pub destroy: &'a [&'a str],
    /// A cache of its own, or the user's, where the images are.
    pub own_cache: bool,
    /// Prepares the folders.
    pub begin: &'a (dyn Fn(&Home) + Sync),
    /// Whether a finished `up` is what the lab file says.
    pub converged: &'a (dyn Fn(&Home) -> Result<(), String> + Sync),
    /// What else may be killed, by name and number: nodes' first processes, their helpers, steps, the switch.
    pub victims: &'a (dyn Fn(&Home) -> Vec<(String, i32)> + Sync),
    /// What is left outside the lab's folders after `destroy`, but for files in them.
    pub leftovers: &'a (dyn Fn(&Home) -> Vec<String> + Sync),
}

/// An undisturbed run: when each line came. The instants of all kills are taken from it.
pub struct Course(pub Vec<Duration>);

/// A sequence of random numbers from a seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }
}

impl Subject<'_> {
    /// A new home. Nodes that are folders live in memory: a killed process needs no disk to lose something on.
    fn home(&self) -> Home {
        if self.own_cache { Home::in_memory() } else { Home::new() }
    }

    fn command(&self, home: &Home, args: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("lab"));
        command.args(args).current_dir(home.path()).env("LAB_STATE_DIR", home.state());
        command.env("LAB_RUN_DIR", home.path().join("run"));
        if self.own_cache {
            command.env("LAB_CACHE_DIR", home.path().join("cache"));
        }
        command.stdin(Stdio::null());
        command
    }

    fn spawn(&self, home: &Home) -> Child {
        self.command(home, self.up).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn finish(&self, home: &Home, args: &[&str]) -> Result<(), String> {
        let output = self.command(home, args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            return Ok(());
        }
        Err(format!(
            "`lab {}` ended with {}:\n{}{}",
            args.join(" "),
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        ))
    }

    /// An `up` as it goes when nobody disturbs it.
    fn course(&self) -> Course {
        let home = self.home();
        (self.begin)(&home);
        let mut child = self.spawn(&home);
        let begun = Instant::now();
        let (mut course, mut said) = (Vec::new(), String::new());
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            course.push(begun.elapsed());
            said += &format!("{}\n", line.unwrap());
        }
        let status = child.wait().unwrap();
        assert!(status.success(), "an `up` that nobody disturbs ended with {status}:\n{said}");
        course.push(begun.elapsed());
        self.finish(&home, self.destroy).unwrap_or_else(|why| panic!("after an `up` that nobody disturbed: {why}"));
        Course(course)
    }

    /// Starts an `up` and waits for an instant of it: after one of its events, and then within the time until the next, so
    /// that both short and long phases are met. Returns what it said till then, and where it is.
    fn until(&self, home: &Home, course: &Course, random: &mut Random) -> (Child, Said, String) {
        let events = course.0.len() as u64;
        let event = usize::try_from(random.below(events + 1)).unwrap_or(0);
        let at = |n: usize| n.checked_sub(1).and_then(|n| course.0.get(n)).copied().unwrap_or_default();
        let gap = at(event + 1).saturating_sub(at(event)).max(Duration::from_millis(2));
        let wait = Duration::from_micros(random.below(u64::try_from(gap.as_micros()).unwrap_or(u64::MAX)));
        let mut child = self.spawn(home);
        let mut said = Said { lines: BufReader::new(child.stderr.take().unwrap()).lines(), told: Vec::new() };
        for _ in 0..event {
            if !said.next() {
                break;
            }
        }
        // The instant itself is what is random; nothing is waited for.
        std::thread::sleep(wait);
        let last = said.told.last().map_or("its start", String::as_str).trim().to_owned();
        (child, said, format!("{:.1} ms after event {event} of {events} ({last})", wait.as_secs_f64() * 1e3))
    }

    /// Kills an `up` at an instant; tells where.
    fn kill(&self, home: &Home, course: &Course, random: &mut Random) -> String {
        let (mut child, _said, place) = self.until(home, course, random);
        let _ = child.kill();
        let _ = child.wait();
        format!("killed {place}")
    }

    /// Kills something that an `up` has made at an instant of it; it must come to its end, good or bad, and say why.
    fn hit(&self, home: &Home, course: &Course, random: &mut Random) -> Result<String, String> {
        let (mut child, mut said, place) = self.until(home, course, random);
        let struck = self.strike(home, random).unwrap_or("nothing to hit".to_owned());
        let told = format!("{struck} {place}");
        while said.next() {}
        let status = child.wait().unwrap();
        match status.code() {
            Some(0) => Ok(told),
            Some(1) if said.told.iter().any(|line| line.contains("cannot ")) => Ok(format!("{told}; `up` said why")),
            _ => Err(format!("{told}\n`up` ended with {status}:\n{}", said.told.join("\n"))),
        }
    }

    /// Kills one of the victims; None where there is none.
    fn strike(&self, home: &Home, random: &mut Random) -> Option<String> {
        let victims = (self.victims)(home);
        let (name, pid) = victims.get(usize::try_from(random.below(victims.len() as u64)).ok()?)?;
        // It may have ended by itself a moment ago.
        let _ = rustix::process::kill_process(rustix::process::Pid::from_raw(*pid)?, rustix::process::Signal::KILL);
        Some(format!("hit {name}"))
    }

    /// One life of a lab: killed or hit once or twice, brought up, destroyed; now and then with a killed `destroy` in
    /// between.
    fn life(&self, seed: u64, course: &Course) -> Result<String, String> {
        let mut random = Random(seed);
        let home = self.home();
        let lived = self.lived(&home, course, &mut random);
        lived.map_err(|why| format!("{why}\n{}", records(&home)))
    }

    fn lived(&self, home: &Home, course: &Course, random: &mut Random) -> Result<String, String> {
        (self.begin)(home);
        let mut told =
            if random.below(3) == 0 { self.hit(home, course, random)? } else { self.kill(home, course, random) };
        if random.below(4) == 0 {
            told = format!("{told}\n{}", self.kill(home, course, random));
        }
        let failed = |told: &str, why: String| format!("{told}\n{why}");
        if random.below(8) > 0 {
            self.finish(home, self.up).and_then(|()| (self.converged)(home)).map_err(|e| failed(&told, e))?;
        }
        if random.below(8) == 0 {
            let mut destroy =
                self.command(home, self.destroy).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(random.below(30_000)));
            let _ = destroy.kill();
            let _ = destroy.wait();
            told += "\n`destroy` killed too";
            if random.below(2) == 0 {
                self.finish(home, self.up).and_then(|()| (self.converged)(home)).map_err(|e| failed(&told, e))?;
            }
        }
        self.finish(home, self.destroy).map_err(|e| failed(&told, e))?;
        let left = self.left(home);
        if left.is_empty() { Ok(told) } else { Err(failed(&told, format!("left behind:\n{}", left.join("\n")))) }
    }

    /// What is left of a lab that was destroyed.
    fn left(&self, home: &Home) -> Vec<String> {
        let mut left = (self.leftovers)(home);
        left.extend(files(&home.state()));
        left.extend(files(&home.path().join("run")));
        left
    }
}

/// What an `up` says, line by line.
struct Said {
    lines: Lines<BufReader<ChildStderr>>,
    told: Vec<String>,
}

impl Said {
    /// Takes the next line; whether there was one.
    fn next(&mut self) -> bool {
        let line = self.lines.next().and_then(Result::ok);
        let more = line.is_some();
        self.told.extend(line);
        more
    }
}

/// The last records of a lab that went wrong, before its home goes.
fn records(home: &Home) -> String {
    let mut all = String::new();
    for lab in std::fs::read_dir(home.state()).into_iter().flatten().flatten() {
        let text = std::fs::read(lab.path().join("journal")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        all += &format!("{}/journal:\n{}\n", lab.path().display(), lines[lines.len().saturating_sub(12)..].join("\n"));
    }
    all
}

/// One life with many kills; `LAB_KILL_SEEDS` says how many. `then` is what happens to the lab when it is up.
#[allow(dead_code, reason = "only real nodes, whose boots are long, are worn")]
pub fn wear(subject: &Subject, course: &Course, kills: u64, then: impl Fn(&Home)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let mut random = Random(number("LAB_KILL_SEED").unwrap_or(1));
    let home = Home::new();
    (subject.begin)(&home);
    for number in 0..number("LAB_KILL_SEEDS").unwrap_or(kills) {
        // Every other one comes after something that the lab made was killed: then the next `up` finds both.
        if number % 2 == 1 {
            println!("{}", subject.strike(&home, &mut random).unwrap_or("nothing to hit".to_owned()));
        }
        println!("{}", subject.kill(&home, course, &mut random));
    }
    let done = subject.finish(&home, subject.up).and_then(|()| (subject.converged)(&home));
    if done.is_ok() {
        then(&home);
    }
    let gone = subject.finish(&home, subject.destroy);
    done.and(gone).unwrap_or_else(|why| panic!("{why}"));
    let left = subject.left(&home);
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// Runs many lives at once, `few` of them where nobody asks for more, after as many seeds as were lived before, and fails
/// with the seeds that went wrong.
pub fn storm(subject: &Subject, seeds: Range<u64>, few: u64, at_once: usize) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let course = subject.course();
    if let Some(seed) = number("LAB_KILL_SEED") {
        // Each storm has its own seeds.
        if seeds.contains(&seed) {
            println!("{}", subject.life(seed, &course).unwrap_or_else(|why| panic!("seed {seed}: {why}")));
        }
        return;
    }
    let start = seeds.start + number("LAB_KILL_AFTER").unwrap_or(0);
    let end = start + number("LAB_KILL_SEEDS").unwrap_or(few);
    let (next, wrong, begun) = (AtomicU64::new(start), Mutex::new(Vec::new()), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    match subject.life(seed, &course) {
                        Ok(told) if at_once == 1 => println!("seed {seed}: {told}"),
                        Ok(_) => {}
                        Err(why) => wrong.lock().unwrap().push((seed, why)),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let lives = end - start;
    println!("{lives} lives in {:.1} s, {} went wrong", begun.elapsed().as_secs_f64(), wrong.len());
    let told: Vec<String> = wrong.iter().map(|(seed, why)| format!("seed {seed}: {why}")).collect();
    assert!(wrong.is_empty(), "run one alone with LAB_KILL_SEED=N:\n{}", told.join("\n\n"));
}

/// All files below a folder, by their paths.
fn files(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// Processes that name this home in their arguments or their environment; a zombie has none. Ourselves excepted.
pub fn processes_of(home: &Home) -> Vec<String> {
    let folder = home.path().to_str().unwrap().to_owned();
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let found = entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok().filter(|pid| *pid != std::process::id())?;
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
        if line.is_empty() {
            // The kernel's own, and zombies.
            return None;
        }
        let names = line.contains(&folder) || String::from_utf8_lossy(&read("environ")).contains(&folder);
        names.then(|| format!("process {pid}: {line}"))
    });
    found.collect()
}
