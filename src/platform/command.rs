//! A command made ready for execve(2): strings with their ends, the files to try, the environment.
//!
//! Everything that can be known to fail is said here, before anything starts.

use std::ffi::{CString, OsStr, OsString, c_char};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Searched where the job has no PATH, as execvp(3) does.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// When a program that cannot be executed is found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Before anything starts, with a message that helps.
    BeforeStart,
    /// By execve(2) alone, with its error.
    ByStart,
}

/// Strings and lists of pointers to them, as execve(2) takes them.
#[derive(Debug)]
pub struct PreparedCommand {
    candidates: StringList,
    argv: StringList,
    envp: StringList,
    shell_argv: StringList,
    cwd: Option<CString>,
    mark: Vec<u8>,
}

impl PreparedCommand {
    /// Prepares `argv` with the environment `env`. The program is looked for in the job's own PATH, as env(1) does.
    /// `mark` names a variable whose value no other job has. With `Check::BeforeStart` a program that cannot work is an
    /// error now.
    pub fn new(
        argv: &[OsString],
        env: Vec<(OsString, OsString)>,
        cwd: Option<&Path>,
        mark: &str,
        check: Check,
    ) -> Result<Self> {
        let program = argv.first().ok_or_else(|| Error::Internal("no command to run".to_owned()))?;
        let prepared_argv = StringList::new(argv.iter().map(|word| [word.as_bytes()]))?;
        let path = env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
        let candidates = match check {
            Check::BeforeStart => checked_candidates(program, path, cwd)?,
            Check::ByStart => all_candidates(program, path),
        };
        let shell = [b"/bin/sh".as_slice(), b""].into_iter();
        let shell_argv = shell.chain(argv.iter().skip(1).map(|word| word.as_bytes()));
        let marked = env.iter().find(|(name, _)| name == mark);
        let mark = marked.map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat()).unwrap_or_default();
        Ok(Self {
            candidates: StringList::new(candidates.iter().map(|path| [path.as_os_str().as_bytes()]))?,
            argv: prepared_argv,
            envp: StringList::new(env.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()]))?,
            shell_argv: StringList::new(shell_argv.map(|word| [word]))?,
            cwd: cwd.map(|cwd| c_string(cwd.as_os_str().to_owned())).transpose()?,
            mark,
        })
    }

    /// The variable that marks the job's processes, as NAME=VALUE; empty where there is none.
    pub(super) fn take_mark(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.mark)
    }

    pub(super) fn candidates(&self) -> *const *const c_char {
        self.candidates.pointers.as_ptr()
    }

    pub(super) fn argv(&self) -> *const *const c_char {
        self.argv.pointers.as_ptr()
    }

    pub(super) fn envp(&self) -> *const *const c_char {
        self.envp.pointers.as_ptr()
    }

    pub(super) fn shell_argv(&mut self) -> *mut *const c_char {
        self.shell_argv.pointers.as_mut_ptr()
    }

    pub(super) fn cwd(&self) -> *const c_char {
        self.cwd.as_ref().map_or(std::ptr::null(), |cwd| cwd.as_ptr())
    }
}

/// Strings with their ends, one behind the other, and a list of pointers to them that ends with a null pointer.
#[derive(Debug)]
struct StringList {
    pointers: Vec<*const c_char>,
    _bytes: Vec<u8>,
}

// SAFETY: the pointers lead into the bytes beside them, which do not move.
unsafe impl Send for StringList {}

impl StringList {
    /// Each string is given in parts.
    fn new<'a, const PARTS: usize>(strings: impl Iterator<Item = [&'a [u8]; PARTS]>) -> Result<Self> {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for parts in strings {
            let start = bytes.len();
            starts.push(start);
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            if bytes[start..].contains(&0) {
                return Err(holds_nul(&bytes[start..]));
            }
            bytes.push(0);
        }
        bytes.shrink_to_fit();
        // Only now do they stay where they are.
        let mut pointers: Vec<*const c_char> = starts.iter().map(|start| bytes[*start..].as_ptr().cast()).collect();
        pointers.push(std::ptr::null());
        Ok(Self { pointers, _bytes: bytes })
    }
}

/// A path as system calls take it.
pub fn path_string(path: &Path) -> Result<CString> {
    c_string(path.as_os_str().to_owned())
}

fn c_string(text: OsString) -> Result<CString> {
    CString::new(text.into_vec()).map_err(|error| holds_nul(&error.into_vec()))
}

fn holds_nul(text: &[u8]) -> Error {
    Error::Invalid {
        argument: Some(String::from_utf8_lossy(text).replace('\0', "\\0")),
        message: "an argument or variable contains a NUL byte".to_owned(),
        remediation: "Remove the NUL byte; the operating system cannot pass it on".to_owned(),
    }
}

/// The files that execvp(3) would try.
fn all_candidates(program: &OsStr, path: Option<&OsStr>) -> Vec<PathBuf> {
    if program.is_empty() || program.as_bytes().contains(&b'/') {
        return vec![PathBuf::from(program)];
    }
    std::env::split_paths(path.unwrap_or(OsStr::new(DEFAULT_PATH)))
        .map(|folder| if folder.as_os_str().is_empty() { Path::new(".").join(program) } else { folder.join(program) })
        .collect()
}

/// Those that can work. Says at once where none can.
fn checked_candidates(program: &OsStr, path: Option<&OsStr>, cwd: Option<&Path>) -> Result<Vec<PathBuf>> {
    if program.is_empty() {
        return Err(Error::CommandNotFound {
            message: "cannot run '': the name of the command is empty".to_owned(),
            remediation: "Give the command after the options; an unset variable may have been expanded".to_owned(),
        });
    }
    let shown = Path::new(program).display().to_string();
    let in_path = !program.as_bytes().contains(&b'/');
    let mut refusal = None;
    let mut unsearchable = None;
    let mut found = Vec::new();
    for file in all_candidates(program, path) {
        let seen_from_here = cwd.map_or_else(|| file.clone(), |cwd| cwd.join(&file));
        match runnable(&seen_from_here) {
            Ok(()) => {
                found.push(file);
                // One that is a program is tried first, and in all likelihood alone.
                break;
            }
            // An unsearchable directory in PATH does not mean that the command exists, see path_resolution(7).
            Err(Refusal::Unseen(error)) if in_path => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    unsearchable.get_or_insert(file);
                }
            }
            Err(Refusal::Unseen(error) | Refusal::Seen(error)) => refusal = refusal.or(Some(error)),
        }
    }
    let hint = unsearchable
        .as_deref()
        .and_then(Path::parent)
        .map_or_else(String::new, |dir| format!("; {} in PATH is not searchable by this user", dir.display()));
    match (found.is_empty(), refusal) {
        (false, _) => Ok(found),
        (true, Some(error)) => Err(refused(&shown, &error)),
        (true, None) => Err(Error::CommandNotFound {
            message: format!("cannot run {shown}: no such command in PATH"),
            remediation: format!(
                "Check the spelling and the PATH, or give the file with its folder, as in ./NAME{hint}"
            ),
        }),
    }
}

/// Why a file cannot be executed.
enum Refusal {
    /// stat(2) failed: it does not exist, or a parent directory is not searchable.
    Unseen(io::Error),
    /// The file exists.
    Seen(io::Error),
}

/// Fails where this file can certainly not be executed.
fn runnable(file: &Path) -> std::result::Result<(), Refusal> {
    let stat = rustix::fs::stat(file).map_err(|error| Refusal::Unseen(error.into()))?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Directory {
        return Err(Refusal::Seen(io::ErrorKind::IsADirectory.into()));
    }
    super::process::may_access(rustix::fs::CWD, file, rustix::fs::Access::EXEC_OK)
        .map_err(|error| Refusal::Seen(error.into()))
}

fn refused(shown: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::CommandNotFound {
            message: format!("cannot run {shown}: no such file"),
            remediation: "Check the spelling and the working directory".to_owned(),
        },
        io::ErrorKind::IsADirectory => Error::CannotRun {
            message: format!("cannot run {shown}: it is a directory"),
            remediation: "Name a program; a folder cannot be executed".to_owned(),
        },
        io::ErrorKind::PermissionDenied => Error::CannotRun {
            message: format!("cannot run {shown}: permission denied"),
            remediation: format!("Make the file executable (chmod +x {shown}), or check the mount for noexec"),
        },
        _ => Error::CannotRun {
            message: format!("cannot run {shown}: {}", crate::error::plain(error)),
            remediation: "Check the path of the program".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Check, PreparedCommand};
    use crate::error::Error;

    fn prepare(program: &str, path: &str) -> Result<PreparedCommand, Error> {
        PreparedCommand::new(&[program.into()], vec![("PATH".into(), path.into())], None, "", Check::BeforeStart)
    }

    #[test]
    fn what_cannot_run_is_said_before_the_start() {
        assert!(prepare("sh", "/nowhere:/bin").is_ok());
        assert!(matches!(prepare("sh", "/nowhere"), Err(Error::CommandNotFound { .. })));
        assert!(matches!(prepare("/bin/no-such-program", ""), Err(Error::CommandNotFound { .. })));
        assert!(matches!(prepare("", "/bin"), Err(Error::CommandNotFound { .. })));
        assert!(matches!(prepare("/etc", "/bin"), Err(Error::CannotRun { .. })));
        assert!(matches!(prepare("/etc/passwd", "/bin"), Err(Error::CannotRun { .. })));
        assert!(matches!(prepare("a\0b", "/bin"), Err(Error::Invalid { .. })));
    }
}
