//! What README claims about the queue: what its verbs cost beside those of its peers, how soon a task begins, how many go
//! through, what a million finished tasks change, and that a worker without work takes nothing.
//!
//! `cargo bench --bench queue`. Peers run in the same turns as we do, those that are installed: task-spooler (`tsp`), `nq`,
//! and pueue with its daemon. Ratios hold on a noisy machine, single times do not; nothing here passes or fails. A word
//! after `--` runs the parts whose names contain it.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark starts programs, measures and prints"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use runner::store::Store;
use rusqlite::Connection;

const RUNNER: &str = env!("CARGO_BIN_EXE_runner");
/// The job whose first instruction is of interest: this program, with this word and a file.
const NOTE_TIME: &str = "--note-time";
/// Tasks of one turn where rates are compared.
const TASKS: usize = 300;
/// Tasks of a list.
const MANY: usize = 20_000;
/// Tasks that are over in a store of long use.
const FINISHED: usize = 1_000_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [word, file] = words.as_slice()
        && word == NOTE_TIME
    {
        return fs::write(file, unix_nanos().to_string()).expect("the file can be written");
    }
    type Part = (&'static str, fn());
    let parts: [Part; 6] = [
        ("submit", submit),
        ("rates", rates),
        ("latency", latency),
        ("through", through),
        ("million", million),
        ("idle", idle),
    ];
    for (name, part) in parts {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            part();
            println!();
        }
    }
}

/// A store of its own with a worker.
struct Queue {
    folder: tempfile::TempDir,
    worker: Option<Child>,
}

impl Queue {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), worker: None }
    }

    fn with_worker() -> Self {
        let mut queue = Self::new();
        queue.start_worker();
        queue
    }

    fn start_worker(&mut self) {
        let mut command = self.command(&["worker", "run", "--idle-exit", "none"]);
        self.worker = Some(command.stdin(null()).stdout(null()).spawn().expect("runner runs"));
        let bell = self.folder.path().join("worker.bell");
        wait_until(|| bell.exists());
        // Heard from now on; the first call may still wait for the store.
        self.run(&["task", "stats"]);
    }

    fn worker_pid(&self) -> u32 {
        self.worker.as_ref().expect("there is a worker").id()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(RUNNER);
        command.args(arguments).env("RUNNER_STATE_DIR", self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).stdin(null()).output().expect("runner runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("answers are UTF-8").trim().to_owned()
    }

    /// A list of so many tasks that do nothing.
    fn list(&self, count: usize) -> String {
        let path = self.folder.path().join(format!("{count}.jsonl"));
        fs::write(&path, "{\"cmd\":[\"true\"]}\n".repeat(count)).expect("room for a list");
        path.display().to_string()
    }

    /// Waits until nothing is queued and nothing runs.
    fn drain(&self) {
        wait_until(|| {
            let connection = Connection::open(self.folder.path().join("queue.db")).expect("there is a store");
            let query = "SELECT count(*) FROM tasks WHERE status IN (0, 1)";
            connection.query_row(query, [], |row| row.get::<_, i64>(0)).is_ok_and(|count| count == 0)
        });
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            self.run(&["worker", "stop", "--now"]);
            worker.wait().expect("it was started");
        }
    }
}

/// Another queue, with what it needs of its own.
struct Peer {
    name: &'static str,
    folder: tempfile::TempDir,
    daemon: Option<Child>,
}

impl Peer {
    /// Those that are installed, ready for four jobs at a time where they can do that.
    fn all() -> Vec<Self> {
        let all = [("tsp", "tsp"), ("nq", "nq"), ("pueue", "pueued")];
        let (here, missing): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(_, program)| shell(&format!("command -v {program}")).status_is_success());
        for (name, _) in missing {
            println!("({name} is not installed and was left out)");
        }
        here.into_iter().map(|(name, _)| Self::begin(name)).collect()
    }

    fn begin(name: &'static str) -> Self {
        let mut peer = Self { name, folder: tempfile::tempdir().expect("a temporary folder"), daemon: None };
        match name {
            "tsp" => peer.run("tsp -S 4"),
            "pueue" => {
                let daemon = peer.shell("exec pueued").stdout(null()).stderr(null()).spawn();
                peer.daemon = Some(daemon.expect("it is installed"));
                wait_until(|| peer.shell("pueue status").status_is_success());
                peer.run("pueue parallel 4");
            }
            _ => {}
        }
        peer
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = shell(line);
        for name in ["TMPDIR", "NQDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "HOME"] {
            command.env(name, self.folder.path());
        }
        command.env("TS_SOCKET", self.folder.path().join("socket")).env("TS_MAXFINISHED", "100000");
        command
    }

    fn run(&self, line: &str) {
        time(&mut self.shell(line));
    }

    fn submits(&self) -> &'static str {
        match self.name {
            "tsp" => "tsp true",
            "nq" => "nq true",
            _ => "pueue add -- true",
        }
    }

    /// What returns once nothing is queued and nothing runs.
    fn waits(&self) -> &'static str {
        match self.name {
            // Each asks for the one that was queued last, and four run at a time.
            "tsp" => "tsp -w; while tsp | grep -Eq 'running|queued'; do :; done",
            "nq" => "nq -w",
            _ => "pueue wait --quiet",
        }
    }

    fn forget(&self) {
        match self.name {
            "tsp" => self.run("tsp -C"),
            "nq" => self.run("rm -f \"$NQDIR\"/,*"),
            _ => self.run("pueue clean"),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        match self.name {
            "tsp" => self.run("tsp -K"),
            "pueue" => self.run("pueue shutdown"),
            _ => {}
        }
        if let Some(mut daemon) = self.daemon.take() {
            daemon.wait().expect("it was started");
        }
    }
}

/// One submit as a whole process, beside a program that does nothing and those of our peers. The worker is there, and the
/// tasks are held back so that it does not take the processors from what is measured.
fn submit() {
    println!("{:<44} {:>11} {:>9}", "one submit, whole process", "ms", "ratio");
    let queue = Queue::with_worker();
    queue.run(&["task", "pause"]);
    let peers = Peer::all();
    let mut rows: Vec<Row> = vec![
        Row::new("true", || command(&["true"])),
        Row::new("runner --version", || command(&[RUNNER, "--version"])),
        Row::new("runner task submit -- true", || queue.command(&["task", "submit", "--", "true"])),
    ];
    for peer in &peers {
        rows.push(Row::new(peer.submits(), || {
            let mut words = peer.submits().split_whitespace();
            let mut command = peer.shell("");
            let environment: Vec<_> =
                command.get_envs().map(|(name, value)| (name.to_owned(), value.map(ToOwned::to_owned))).collect();
            command = Command::new(words.next().expect("a program"));
            command.args(words).envs(environment.into_iter().filter_map(|(name, value)| Some((name, value?))));
            command
        }));
    }
    turns(200, &mut rows);
    print(&rows, 0);
}

/// Submits a second: from a loop of processes, and from a list.
fn rates() {
    println!("{:<44} {:>11} {:>9}", "submits, with a worker that runs them", "tasks/s", "ratio");
    let queue = Queue::with_worker();
    let peers = Peer::all();
    let list = queue.list(MANY);
    let mut ours = Vec::new();
    let mut from_list = Vec::new();
    let mut theirs = vec![Vec::new(); peers.len()];
    for turn in 0..4 {
        let mut submits = shell(&repeated(TASKS, &format!("{RUNNER} task submit -- true")));
        let took = time(submits.env("RUNNER_STATE_DIR", queue.folder.path()));
        queue.drain();
        let mut row = Vec::new();
        for peer in &peers {
            row.push(time(&mut peer.shell(&repeated(TASKS, peer.submits()))));
            peer.run(peer.waits());
            peer.forget();
        }
        queue.run(&["task", "pause"]);
        let took_list = time(&mut queue.command(&["task", "submit", "--from", &list]));
        empty(&queue);
        queue.run(&["task", "resume"]);
        if turn > 0 {
            ours.push(took);
            from_list.push(took_list);
            theirs.iter_mut().zip(row).for_each(|(times, took)| times.push(took));
        }
    }
    let rate = |count: usize, times: &[Duration]| count as f64 / median(times).as_secs_f64();
    println!("{:<44} {:>11.0} {:>9.2}", format!("loop of {TASKS} runner task submit"), rate(TASKS, &ours), 1.0);
    for (peer, times) in peers.iter().zip(&theirs) {
        let name = format!("loop of {TASKS} {}", peer.submits());
        println!("{name:<44} {:>11.0} {:>9.2}", rate(TASKS, times), median_ratio(times, &ours));
    }
    println!("{:<44} {:>11.0}", format!("runner task submit --from, {MANY} tasks"), rate(MANY, &from_list));
}

/// From a submit to the first instruction of the job, with a worker that has nothing else to do.
fn latency() {
    let queue = Queue::with_worker();
    let own = std::env::current_exe().expect("this program has a path").display().to_string();
    let file = queue.folder.path().join("time");
    let (mut from_start, mut from_id, mut floor) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..120 {
        let begun = unix_nanos();
        let _ = fs::remove_file(&file);
        time(&mut command(&[&own, NOTE_TIME, &file.display().to_string()]));
        let direct = noted(&file).saturating_sub(begun);
        let _ = fs::remove_file(&file);
        let begun = unix_nanos();
        queue.run(&["task", "submit", "--", &own, NOTE_TIME, &file.display().to_string()]);
        let returned = unix_nanos();
        wait_until(|| fs::read_to_string(&file).is_ok_and(|text| !text.is_empty()));
        queue.drain();
        if turn >= 20 {
            floor.push(Duration::from_nanos(direct));
            from_start.push(Duration::from_nanos(noted(&file).saturating_sub(begun)));
            from_id.push(Duration::from_nanos(noted(&file).saturating_sub(returned)));
        }
    }
    println!("{:<44} {:>11} {:>9}", "until the job's first instruction", "median ms", "90 % ms");
    for (name, times) in [
        ("from the start of submit", &from_start),
        ("from its return with the id", &from_id),
        ("the same program started directly", &floor),
    ] {
        println!("{name:<44} {:>11.2} {:>9.2}", millis(median(times)), millis(quantile(times, 0.9)));
    }
}

/// From the first submit to the last end, four at a time.
fn through() {
    println!("{:<44} {:>11} {:>9}", format!("{TASKS} times true, from submit to end, 4 slots"), "tasks/s", "ratio");
    let queue = Queue::with_worker();
    let peers = Peer::all();
    let list = queue.list(TASKS);
    let mut rows = vec![Vec::new(); 2 + peers.len()];
    for turn in 0..4 {
        let mut row = Vec::new();
        let begun = Instant::now();
        queue.run(&["task", "submit", "--from", &list]);
        queue.drain();
        row.push(begun.elapsed());
        let begun = Instant::now();
        let mut submits = shell(&repeated(TASKS, &format!("{RUNNER} task submit -- true")));
        time(submits.env("RUNNER_STATE_DIR", queue.folder.path()));
        queue.drain();
        row.push(begun.elapsed());
        for peer in &peers {
            let begun = Instant::now();
            peer.run(&repeated(TASKS, peer.submits()));
            peer.run(peer.waits());
            row.push(begun.elapsed());
            peer.forget();
        }
        if turn > 0 {
            rows.iter_mut().zip(row).for_each(|(times, took)| times.push(took));
        }
    }
    let ours = ["runner, from a list", "runner, loop of submits"].map(str::to_owned);
    let names = ours.into_iter().chain(peers.iter().map(|peer| format!("{}, loop of submits", peer.name)));
    for (name, times) in names.zip(&rows) {
        let rate = TASKS as f64 / median(times).as_secs_f64();
        println!("{name:<44} {rate:>11.0} {:>9.2}", median_ratio(times, &rows[0]));
    }
}

/// The verbs on a store with a million tasks that are over, beside the start of the program.
fn million() {
    let mut queue = Queue::new();
    fill(queue.folder.path());
    queue.start_worker();
    queue.run(&["task", "pause"]);
    println!("{:<44} {:>11} {:>9}", format!("{FINISHED} finished tasks, whole process"), "ms", "more ms");
    let finished = id(FINISHED / 2);
    let mut waiting = queue.run(&["task", "submit", "--from", &queue.list(250)]).lines().map(str::to_owned).collect();
    let mut rows = vec![
        Row::new("runner --version", || command(&[RUNNER, "--version"])),
        Row::new("task submit", || queue.command(&["task", "submit", "--", "true"])),
        Row::new("task status", || queue.command(&["task", "status", &finished])),
        Row::new("task cancel", || {
            let waiting: &mut Vec<String> = &mut waiting;
            queue.command(&["task", "cancel", &waiting.pop().expect("one is left")])
        }),
        Row::new("task list", || queue.command(&["task", "list"])),
        Row::new("task list --status failed", || queue.command(&["task", "list", "--status", "failed"])),
        Row::new("task list --group builds", || queue.command(&["task", "list", "--group", "builds"])),
        Row::new("task wait, of one that is over", || queue.command(&["task", "wait", &finished])),
        Row::new("task stats", || queue.command(&["task", "stats"])),
        Row::new("worker status", || queue.command(&["worker", "status"])),
    ];
    turns(100, &mut rows);
    let floor = median(&rows[0].times);
    for row in &rows {
        let more = row.times.iter().zip(&rows[0].times).map(|(took, floor)| millis(*took) - millis(*floor));
        let mut more: Vec<f64> = more.collect();
        more.sort_by(f64::total_cmp);
        println!("{:<44} {:>11.2} {:>+9.2}", row.name, millis(median(&row.times)), more[more.len() / 2]);
    }
    drop(rows);
    println!("(more than the start of the program, {:.2} ms, pair by pair)", millis(floor));
    let [before, _] = thread_times(queue.worker_pid());
    let list = queue.list(TASKS);
    queue.run(&["task", "submit", "--from", &list]);
    let begun = Instant::now();
    queue.run(&["task", "resume"]);
    queue.drain();
    let took = begun.elapsed().as_secs_f64();
    let [after, _] = thread_times(queue.worker_pid());
    println!("{:<44} {:>11.0} tasks/s", "true, 4 slots", TASKS as f64 / took);
    println!("{:<44} {:>11.0} us a task", "CPU of the worker", (after - before) * 1e6 / TASKS as f64);
    rest(&queue, "the worker of this store");
}

/// A worker without work.
fn idle() {
    let queue = Queue::with_worker();
    let list = queue.list(TASKS);
    rest(&queue, "a worker that has run nothing");
    queue.run(&["task", "submit", "--from", &list]);
    queue.drain();
    rest(&queue, &format!("a worker that has run {TASKS} tasks"));
}

/// What a worker takes in some seconds without work.
fn rest(queue: &Queue, name: &str) {
    let pid = queue.worker_pid();
    // It may have something to put away yet.
    std::thread::sleep(Duration::from_secs(1));
    let ([cpu, switches], pause) = (thread_times(pid), Duration::from_secs(5));
    std::thread::sleep(pause);
    let [cpu_after, switches_after] = thread_times(pid);
    println!(
        "{name}: {:.0} wake-ups and {:.0} us of CPU in {} s, {} KiB resident ({} KiB of its own)",
        switches_after - switches,
        (cpu_after - cpu) * 1e6,
        pause.as_secs(),
        status_field(pid, "VmRSS:"),
        status_field(pid, "RssAnon:")
    );
}

/// Seconds of CPU and context switches of all threads of a process, see proc(5).
fn thread_times(pid: u32) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for thread in fs::read_dir(format!("/proc/{pid}/task")).expect("it lives").flatten() {
        let path = thread.path();
        let stat = fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        sums[0] += stat.split(' ').next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or_default() / 1e9;
        for line in fs::read_to_string(path.join("status")).unwrap_or_default().lines() {
            if let Some(count) = line.split_once("ctxt_switches:") {
                sums[1] += count.1.trim().parse::<f64>().unwrap_or_default();
            }
        }
    }
    sums
}

fn status_field(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// The id of one of the tasks of a filled store: ordered as they were submitted.
fn id(number: usize) -> String {
    format!("{:08x}-{:04x}-7000-8000-{number:012x}", 26_000_000 + number / 65_536, number % 65_536)
}

/// A store of long use: nearly all have completed, some failed, some were cancelled; a tenth is of a group.
fn fill(folder: &Path) {
    drop(Store::open(folder).expect("a store can be made"));
    let connection = Connection::open(folder.join("queue.db")).expect("it was made");
    // Of late, since the worker removes what is old.
    let begun = unix_nanos() / 1_000_000 - FINISHED as u64;
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF;
             BEGIN;
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {FINISHED})
             INSERT INTO tasks (id, status, priority, ready, grp, owner, created_at, updated_at, started_at,
                                finished_at, attempts, run, waited, duration, cause, exit_code, command, job)
             SELECT printf('%08x-%04x-7000-8000-%012x', 26000000 + i / 65536, i % 65536, i),
                    CASE i % 50 WHEN 0 THEN 3 WHEN 1 THEN 4 ELSE 2 END, i % 4, 0,
                    CASE i % 10 WHEN 0 THEN 'builds' ELSE '' END, 'somebody', {begun} + i, {begun} + i + 100,
                    {begun} + i + 50, {begun} + i + 100, 1, printf('%016x', i), 50, 50000,
                    CASE i % 50 WHEN 0 THEN 'failed' WHEN 1 THEN 'cancelled' ELSE 'success' END, 0, 'true', job
             FROM n, (SELECT '{JOB}' AS job);
             INSERT INTO answers SELECT seq, '{ANSWER}' FROM tasks;
             UPDATE lifetime SET tasks = {FINISHED} WHERE name IN ('submitted', 'completed');
             COMMIT;
             PRAGMA wal_checkpoint(TRUNCATE);"
        ))
        .expect("a million tasks fit");
}

const JOB: &str = r#"{"command":{"argv":["true"]},"cwd":"/","env":[["PATH","/usr/local/bin:/usr/bin:/bin"],["HOME","/home/somebody"],["LANG","C.UTF-8"],["USER","somebody"]]}"#;
const ANSWER: &str = r#"{"status":"success","data":{"exit_code":0,"stdout":"","stderr":"","stdout_bytes":0,"stderr_bytes":0,"stdout_omitted_bytes":0,"stderr_omitted_bytes":0,"usage":{"user_seconds":0.0004,"system_seconds":0.0007,"max_rss_bytes":2097152},"leftovers":[]},"metadata":{"request_id":"req_1","timestamp":"2025-10-09T10:00:00Z","duration_ms":1.2,"api_version":"v1"}}"#;

/// Removes what waits, as no verb does.
fn empty(queue: &Queue) {
    let connection = Connection::open(queue.folder.path().join("queue.db")).expect("there is a store");
    connection.busy_timeout(Duration::from_secs(20)).expect("it is a setting");
    connection.execute("DELETE FROM tasks WHERE status = 0", []).expect("the store can be written");
}

/// A command that is run again and again, and how long it took each time.
struct Row<'a> {
    name: &'a str,
    make: Box<dyn FnMut() -> Command + 'a>,
    times: Vec<Duration>,
}

impl<'a> Row<'a> {
    fn new(name: &'a str, make: impl FnMut() -> Command + 'a) -> Self {
        Self { name, make: Box::new(make), times: Vec::new() }
    }
}

/// Runs all in turns; the first turns only warm the caches.
fn turns(count: usize, rows: &mut [Row<'_>]) {
    let warm_up = (count / 10).max(1);
    for turn in 0..count + warm_up {
        for row in &mut *rows {
            let took = time(&mut (row.make)());
            if turn >= warm_up {
                row.times.push(took);
            }
        }
    }
}

/// Medians, and the ratios to one of them.
fn print(rows: &[Row<'_>], to: usize) {
    for row in rows {
        let ratio = median_ratio(&row.times, &rows[to].times);
        println!("{:<44} {:>11.2} {ratio:>9.2}", row.name, millis(median(&row.times)));
    }
}

fn repeated(count: usize, line: &str) -> String {
    let mut text = String::new();
    let _ = write!(text, "i=0; while [ $i -lt {count} ]; do {line} >/dev/null; i=$((i+1)); done");
    text
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

fn shell(line: &str) -> Command {
    command(&["sh", "-c", line])
}

fn null() -> Stdio {
    Stdio::null()
}

/// Looks until it is so; the looks are close together, since what comes is measured.
fn wait_until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        std::thread::sleep(Duration::from_micros(500));
    }
}

trait Succeeds {
    fn status_is_success(&mut self) -> bool;
}

impl Succeeds for Command {
    fn status_is_success(&mut self) -> bool {
        self.stdin(null()).stdout(null()).stderr(null()).status().is_ok_and(|status| status.success())
    }
}

fn time(command: &mut Command) -> Duration {
    let begun = Instant::now();
    let status = command.stdin(null()).stdout(null()).stderr(null()).status();
    let took = begun.elapsed();
    assert!(status.expect("the program is installed").success(), "{command:?} failed");
    took
}

fn unix_nanos() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
    u64::try_from(now.as_nanos()).expect("it is not so late")
}

fn noted(file: &Path) -> u64 {
    fs::read_to_string(file).ok().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(times: &[Duration]) -> Duration {
    quantile(times, 0.5)
}

fn quantile(times: &[Duration], share: f64) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[(sorted.len() as f64 * share) as usize]
}

fn median_ratio(times: &[Duration], to: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> = times.iter().zip(to).map(|(a, b)| a.as_secs_f64() / b.as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}
