//! A misbehaving program for tests: one mode per word, parameters behind it; the table is in `run`.
//!
//! It prints `ready` on stdout when it is as bad as it will get. Whatever happens it leaves nothing for good: every
//! process of its tree arms a timer that kills it a minute after the first one began, stopped or not. The tests hand
//! it the write end of a pipe (`VICTIM_LIFELINE`), which every process keeps, so that end of file there proves that
//! the whole tree is dead. It has no Rust runtime around `main`, so that signals and descriptors are as it got them.

#![no_main]
#![expect(unsafe_code, reason = "bad behaviour is made of system calls")]

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::atomic::{AtomicI32, AtomicI64, Ordering};

mod datagram;
mod pattern;

/// No process of a tree outlives the first one's start by more.
const LIFE_SECONDS: i64 = 60;

/// When the tree dies, in nanoseconds of the monotonic clock.
static LIFE_ENDS: AtomicI64 = AtomicI64::new(0);
/// Where `leave` listens for `ready`, or -1.
static READY_FD: AtomicI32 = AtomicI32::new(-1);
/// A parameter of the signal handler in use: an exit code, or milliseconds.
static PARAMETER: AtomicI32 = AtomicI32::new(0);

/// The C entry point.
#[unsafe(no_mangle)]
pub extern "C" fn main(_argc: i32, _argv: *const *const libc::c_char) -> i32 {
    LIFE_ENDS.store(now() + LIFE_SECONDS * 1_000_000_000, Ordering::Relaxed);
    arm();
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    run(&args)
}

fn run(args: &[OsString]) -> ! {
    let mode = args.first().and_then(|word| word.to_str()).unwrap_or("");
    let rest = args.get(1..).unwrap_or_default();
    match mode {
        // Signals.
        "ignore-term" => {
            ignore(libc::SIGTERM);
            ready();
            idle()
        }
        "ignore-all" => {
            (1..=64).for_each(ignore);
            ready();
            idle()
        }
        "ignore-term-child" => {
            if fork() == 0 {
                ignore(libc::SIGTERM);
                ready();
            }
            idle()
        }
        // The leader dies of TERM at once; the child needs so many milliseconds to clean up.
        "clean-up-child" => {
            if fork() == 0 {
                PARAMETER.store(number(rest, 0), Ordering::Relaxed);
                handle(libc::SIGTERM, clean_up);
                ready();
            }
            idle()
        }
        "speak-on" => {
            PARAMETER.store(number(rest, 1), Ordering::Relaxed);
            handle(number(rest, 0), last_words);
            ready();
            idle()
        }
        // Tells how often a signal comes, to the leader and to a child in a session of its own.
        "count" => {
            // Each is ready by itself: whoever counts waits for both.
            handle(number(rest, 0), tell_leader);
            if fork() == 0 {
                setsid();
                handle(number(rest, 0), tell_child);
            }
            ready();
            idle()
        }
        "stop-self" => {
            if !rest.is_empty() {
                setsid();
            }
            ready();
            kill(getpid(), libc::SIGSTOP);
            idle()
        }
        "stop-group" => {
            if fork() == 0 {
                idle()
            }
            ready();
            kill(0, libc::SIGSTOP);
            idle()
        }
        "kill-own-group" => {
            ready();
            kill(0, number(rest, 0));
            idle()
        }
        "kill-parent" => {
            ready();
            kill(getppid(), number(rest, 0));
            say(1, b"shot\n");
            if rest.len() > 1 { exit(number(rest, 1)) } else { idle() }
        }
        "raise" => {
            no_core();
            restore(number(rest, 0));
            kill(getpid(), number(rest, 0));
            idle()
        }
        // Shapes of a tree.
        "leave" => leave(rest),
        "stay" => {
            if fork() == 0 {
                run(rest)
            } else {
                idle()
            }
        }
        "background-child" => leave(&words(&["silent"])),
        "hold-pipe" => leave(&words(&["sleep"])),
        "chatty-orphan" => leave(&words(&["chatty", "50"])),
        "silent" => {
            ready();
            redirect_to_null();
            idle()
        }
        "setsid-child" => {
            if fork() == 0 {
                setsid();
                ready();
            }
            idle()
        }
        "double-fork" => {
            if fork() == 0 {
                setsid();
                if fork() == 0 {
                    ready();
                    redirect_to_null();
                    idle()
                }
                exit(0)
            }
            idle()
        }
        "deep-sessions" => {
            for _ in 0..number(rest, 0) {
                if fork() != 0 {
                    idle()
                }
                setsid();
            }
            ready();
            idle()
        }
        // Its own child takes the orphans below it.
        "own-subreaper" => {
            if fork() == 0 {
                become_subreaper();
                if fork() == 0 {
                    setsid();
                    if fork() == 0 {
                        ready();
                        idle()
                    }
                    exit(0)
                }
            }
            idle()
        }
        "fork-chain" => {
            ready();
            loop {
                match fork() {
                    0 => {
                        if rest.len() > 1 {
                            setsid();
                        }
                        nap(number(rest, 0));
                    }
                    -1 => nap(1),
                    _ => exit(0),
                }
            }
        }
        "forkbomb-lite" => {
            for _ in 0..number(rest, 0) {
                fork();
            }
            ready();
            idle()
        }
        "zombies" => {
            for _ in 0..number(rest, 0) {
                if fork() == 0 {
                    exit(0)
                }
            }
            ready();
            idle()
        }
        // The first thread ends and another lives on: the process looks like a zombie and is none.
        "headless" => {
            std::thread::spawn(|| {
                ready();
                idle()
            });
            end_this_thread()
        }
        // Needs a copy of this program that is set-user-ID root.
        "become-root" => {
            become_root();
            ready();
            idle()
        }
        // Output.
        "close-streams" => {
            ready();
            (0..3).for_each(close);
            idle()
        }
        "flood" => {
            flood(&[1], number::<u64>(rest, 0));
            exit(0)
        }
        "flood-both" => {
            flood(&[1, 2], number::<u64>(rest, 0));
            exit(0)
        }
        "all-bytes" => {
            let bytes: Vec<u8> = (0..=255).collect();
            say(1, &bytes);
            say(2, &bytes.iter().rev().copied().collect::<Vec<u8>>());
            exit(0)
        }
        "unfinished-line" => {
            say(1, b"ready\nno newline out");
            say(2, b"no newline err");
            idle()
        }
        "chatty" => {
            ignore(libc::SIGPIPE);
            ready();
            loop {
                nap(number(rest, 0));
                say(1, b"tick\n");
            }
        }
        // So many ticks, then silence.
        "tick" => {
            for _ in 0..number(rest, 0) {
                nap(number(rest, 1));
                say(1, b"tick\n");
            }
            idle()
        }
        "speak-after" => {
            nap(number(rest, 0));
            say(1, b"late\n");
            exit(0)
        }
        // Reports to the runner above it.
        // So many numbered values a second, for so many milliseconds; without end where that is 0.
        "report" => {
            report(number(rest, 0), number(rest, 1));
            exit(number(rest, 2))
        }
        // So many children report as fast as they can, of a kind, while it goes on with numbered values.
        "report-flood" => {
            for _ in 0..number(rest, 0) {
                if fork() == 0 {
                    flood_reports(rest.get(1).and_then(|word| word.to_str()).unwrap_or(""))
                }
            }
            ready();
            report(number(rest, 2), 0);
            exit(0)
        }
        // As it says, over and over, and nothing else.
        "report-line" => {
            let line = rest.get(1).map(|word| word.as_bytes()).unwrap_or_default();
            loop {
                send(line, None);
                nap(number(rest, 0));
            }
        }
        // One datagram to an address; the lines are the words that follow.
        "tell" => {
            let lines: Vec<&[u8]> = rest.iter().skip(1).map(|word| word.as_bytes()).collect();
            let address = rest.first().map(|word| word.as_bytes()).unwrap_or_default();
            exit(i32::from(datagram::send(address, &lines.join(&b'\n'), None).is_err()))
        }
        // Time.
        "sleep" => {
            ready();
            if rest.is_empty() {
                idle()
            } else {
                nap(number(rest, 0))
            }
            exit(0)
        }
        "burn" => {
            ready();
            burn(if rest.is_empty() { i64::MAX } else { number(rest, 0) });
            exit(0)
        }
        // The CPU time is used by a child after child, each of which is soon gone.
        "burn-in-turns" => {
            ready();
            loop {
                if fork() == 0 {
                    burn(number(rest, 0));
                    exit(0)
                }
                wait_for_child();
            }
        }
        // What it got.
        "exit" => exit(number(rest, 0)),
        // Runs a program for which one system call fails with this error number, as below a sandbox.
        "refuse" => refuse(number(rest, 0), number(rest, 1), rest.get(2..).unwrap_or_default()),
        "args" => {
            for argument in rest {
                say(1, argument.as_bytes());
                say(1, b"\0");
            }
            exit(0)
        }
        "ids" => {
            say(1, format!("{} {} {}\n", getpid(), getpgid(), getsid()).as_bytes());
            exit(0)
        }
        "list-fds" => {
            list_descriptors();
            exit(0)
        }
        "signals" => {
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            for line in status.lines().filter(|line| line.starts_with("SigBlk") || line.starts_with("SigIgn")) {
                say(1, line.replace('\t', "").as_bytes());
                say(1, b"\n");
            }
            exit(0)
        }
        other => {
            say(2, format!("victim: unknown mode '{other}'\n").as_bytes());
            exit(99)
        }
    }
}

/// Parameter number `index`, or zero.
fn number<T: std::str::FromStr + Default>(args: &[OsString], index: usize) -> T {
    args.get(index).and_then(|word| word.to_str()).and_then(|word| word.parse().ok()).unwrap_or_default()
}

fn words(list: &[&str]) -> Vec<OsString> {
    list.iter().map(|word| OsString::from_vec(word.as_bytes().to_vec())).collect()
}

/// Says that the mode is in force.
fn ready() {
    say(1, b"ready\n");
    let listener = READY_FD.load(Ordering::Relaxed);
    if listener >= 0 {
        say(listener, b"r");
        close(listener);
        READY_FD.store(-1, Ordering::Relaxed);
    }
}

/// Leaves a child in the mode that follows, and exits 0 once the child is ready.
fn leave(rest: &[OsString]) -> ! {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors.
    unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    if fork() == 0 {
        close(ends[0]);
        READY_FD.store(ends[1], Ordering::Relaxed);
        run(rest)
    }
    close(ends[1]);
    let mut byte = [0_u8; 1];
    // SAFETY: one byte is read into a buffer of one.
    unsafe { libc::read(ends[0], byte.as_mut_ptr().cast(), 1) };
    exit(0)
}

/// Writes `bytes` of the pattern to each stream, in turns; without end where it is 0.
fn flood(streams: &[i32], bytes: u64) {
    let mut block = [0; 4096];
    let mut done: u64 = 0;
    while bytes == 0 || done < bytes {
        let length = if bytes == 0 { block.len() } else { block.len().min((bytes - done) as usize) };
        for stream in streams {
            pattern::fill(&mut block[..length], done, *stream as u64);
            say(*stream, &block[..length]);
        }
        done += length as u64;
    }
}

/// Sends to the runner above us.
fn send(bytes: &[u8], file: Option<BorrowedFd<'_>>) {
    let address = std::env::var_os("RUNNER_NOTIFY_SOCKET").unwrap_or_default();
    if datagram::send(address.as_bytes(), bytes, file).is_err() {
        say(1, b"not sent\n");
        exit(97)
    }
}

/// Reports numbers from 1 on. Each stands on stdout, in a line of its own, once it has been sent.
fn report(rate: i64, milliseconds: i64) {
    let start = now();
    for count in 1.. {
        send(format!("X_RUNNER_PARTIAL={{\"count\":{count}}}").as_bytes(), None);
        say(1, format!("{count}\n").as_bytes());
        let next = count * 1_000_000_000 / rate.max(1);
        if milliseconds > 0 && next > milliseconds * 1_000_000 {
            return;
        }
        nap(((start + next - now()) / 1_000_000).max(0));
    }
}

fn flood_reports(kind: &str) -> ! {
    let status = b"STATUS=at it\nX_RUNNER_PROGRESS=50%\nWATCHDOG=1";
    // Costly to read: many small parts.
    let big = format!("[{}0]", "0,".repeat((1 << 19) - 2));
    loop {
        match kind {
            "status" => send(status, None),
            "garbage" => send(b"\xff\xfe\nno sense\nX_RUNNER_PROGRESS=lots", None),
            _ => {
                let file = datagram::memory_file(big.as_bytes(), datagram::ALL_SEALS);
                send(b"X_RUNNER_VALUE_IN_FILE=X_RUNNER_RESULT", Some(file.as_fd()));
            }
        }
    }
}

/// Uses so much CPU time, however long that takes on a machine that is busy with other things.
fn burn(milliseconds: i64) {
    let end = cpu_time().saturating_add(milliseconds.saturating_mul(1_000_000));
    while cpu_time() < end {
        // Most of it is to be the program's own, and not the kernel's for the clock.
        for number in 0..100_000 {
            std::hint::black_box(number);
        }
    }
}

/// CPU time of this process, in nanoseconds.
fn cpu_time() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to `time`.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn list_descriptors() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let names: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    for name in names {
        // The descriptor that listed them is closed again by now.
        if let (Some(number), Ok(target)) = (name.file_name(), std::fs::read_link(&name)) {
            say(1, format!("{} {}\n", number.to_string_lossy(), target.display()).as_bytes());
        }
    }
}

fn redirect_to_null() {
    let path = CString::new("/dev/null").unwrap_or_default();
    // SAFETY: `path` ends with NUL; the other calls take numbers only.
    unsafe {
        let null = libc::open(path.as_ptr(), libc::O_RDWR);
        for stream in 0..3 {
            libc::dup2(null, stream);
        }
        libc::close(null);
    }
}

extern "C" fn last_words(_signal: i32) {
    say(1, b"last words\n");
    exit(PARAMETER.load(Ordering::Relaxed))
}

extern "C" fn clean_up(_signal: i32) {
    nap(PARAMETER.load(Ordering::Relaxed).into());
    say(1, b"cleaned\n");
    exit(0)
}

extern "C" fn tell_leader(_signal: i32) {
    say(1, b"leader told\n");
}

extern "C" fn tell_child(_signal: i32) {
    say(1, b"child told\n");
}

/// Makes sure that the kernel ends this process when the life of the tree is over. A POSIX timer, not alarm(2): it may
/// send KILL, which a stopped process does not outlast either.
fn arm() {
    let left = (LIFE_ENDS.load(Ordering::Relaxed) - now()).max(1);
    // SAFETY: the structures are plain data for which all zeroes is valid, and they outlive the calls.
    unsafe {
        let mut event: libc::sigevent = std::mem::zeroed();
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = libc::SIGKILL;
        let mut timer: libc::timer_t = std::mem::zeroed();
        if libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) != 0 {
            libc::alarm((left / 1_000_000_000 + 1) as u32);
            return;
        }
        let mut when: libc::itimerspec = std::mem::zeroed();
        when.it_value.tv_sec = left / 1_000_000_000;
        when.it_value.tv_nsec = left % 1_000_000_000;
        libc::timer_settime(timer, 0, &when, std::ptr::null_mut());
    }
}

/// A child with a timer of its own: timers are not inherited.
fn fork() -> i32 {
    // SAFETY: this process has one thread, so the child may go on as usual.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        arm();
    }
    pid
}

fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Sleeps for the whole time, signals or not.
fn nap(milliseconds: i64) {
    let end = now() + milliseconds * 1_000_000;
    let when = libc::timespec { tv_sec: end / 1_000_000_000, tv_nsec: end % 1_000_000_000 };
    // SAFETY: `when` outlives the call, and no remainder is asked for.
    while unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &when, std::ptr::null_mut()) }
        == libc::EINTR
    {}
}

fn idle() -> ! {
    loop {
        // SAFETY: takes nothing.
        unsafe { libc::pause() };
    }
}

/// Writes all of it; a broken stream is passed over.
fn say(stream: i32, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: pointer and length are those of a live slice.
        let count = unsafe { libc::write(stream, bytes.as_ptr().cast(), bytes.len()) };
        if count > 0 {
            bytes = &bytes[count as usize..];
        } else if std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return;
        }
    }
}

fn ignore(signal: i32) {
    // SAFETY: a disposition without a handler.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

fn restore(signal: i32) {
    // SAFETY: a disposition without a handler.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

fn handle(signal: i32, handler: extern "C" fn(i32)) {
    // SAFETY: the handlers here call only what signal-safety(7) allows.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

fn no_core() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` outlives the call.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
}

fn exit(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

fn end_this_thread() -> ! {
    loop {
        // SAFETY: SYS_exit ends the calling thread alone and does not return.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }
}

fn kill(pid: i32, signal: i32) {
    // SAFETY: takes numbers only.
    unsafe { libc::kill(pid, signal) };
}

fn close(descriptor: i32) {
    // SAFETY: no owner of this number exists in this program.
    unsafe { libc::close(descriptor) };
}

fn setsid() {
    // SAFETY: takes nothing.
    unsafe { libc::setsid() };
}

fn become_subreaper() {
    // SAFETY: takes numbers only.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

fn become_root() {
    // SAFETY: takes numbers only.
    if unsafe { libc::setresuid(0, 0, 0) } != 0 {
        say(1, b"not root\n");
        exit(98)
    }
}

fn wait_for_child() {
    // SAFETY: no status is asked for.
    unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
}

fn getpid() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::getpid() }
}

fn getppid() -> i32 {
    // SAFETY: takes nothing.
    unsafe { libc::getppid() }
}

fn getpgid() -> i32 {
    // SAFETY: takes a number only.
    unsafe { libc::getpgid(0) }
}

fn getsid() -> i32 {
    // SAFETY: takes a number only.
    unsafe { libc::getsid(0) }
}

/// Leaves with 77 where no filter can be installed.
fn refuse(call: u32, errno: u32, argv: &[OsString]) -> ! {
    let statement = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        // The number of the system call is the first word of what the filter sees.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno),
        statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let words: Vec<CString> = argv.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect();
    let mut pointers: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: the kernel copies the filter; the words end with a null pointer and live until execve.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) != 0
        {
            exit(77);
        }
        // Set by this program, and not what the next one should die of.
        libc::alarm(0);
        libc::execv(pointers[0], pointers.as_ptr());
    }
    exit(127)
}
