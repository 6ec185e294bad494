//! Datagram sockets between a job and us, and memory files that are passed between processes: unix(7), memfd_create(2).
//!
//! Addresses are abstract, so no file is left behind; one in the file system, for processes of another network namespace,
//! is removed with its socket. A sender is known by the kernel's word, not by its own.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};

use crate::error::{Error, Result};

/// Descriptors that are taken from one datagram; those beyond are closed by the kernel.
const DESCRIPTORS: usize = 8;

/// Our end of a job's socket. Never blocks.
#[derive(Debug)]
pub struct Socket {
    socket: OwnedFd,
    /// Of a socket in the file system, which is removed with it.
    path: Option<PathBuf>,
}

/// Who sent a datagram, by the kernel's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub pid: i32,
    pub uid: u32,
}

impl Peer {
    /// It is of our own user, or root.
    pub fn is_trusted(self) -> bool {
        self.uid == 0 || self.uid == rustix::process::getuid().as_raw()
    }
}

/// What came in one datagram.
#[derive(Debug)]
pub struct Datagram {
    pub length: usize,
    /// It was longer than the buffer.
    pub truncated: bool,
    pub peer: Option<Peer>,
    /// The descriptors that came with it. A sender that waits for them to be closed has its answer once this is dropped.
    pub files: Vec<OwnedFd>,
}

impl Socket {
    /// Binds the abstract address `name`.
    pub fn open(name: &str) -> Result<Self> {
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(Error::system("make a socket"))?;
        Ok(Self { socket: bound_socket(&address)?, path: None })
    }

    /// Binds a path at which there is nothing. Every user may send there: who is heard is decided by the receiver.
    pub fn open_at(path: &Path) -> Result<Self> {
        let address = SocketAddrUnix::new(path).map_err(Error::system("make a socket"))?;
        let socket = Self { socket: bound_socket(&address)?, path: Some(path.to_owned()) };
        // Nobody else may have put something in its place: see `runtime_path`.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(Error::system("make a socket"))?;
        path.parent().into_iter().for_each(sweep);
        Ok(socket)
    }

    /// What is in the queue can still be taken, and nobody can add to it.
    pub fn close_to_senders(&self) {
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Read);
    }

    /// Takes the next datagram. None where there is none now.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<Datagram> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1), ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = loop {
            match rustix::net::recvmsg(&self.socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
                Ok(received) => break received,
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        };
        let mut datagram = Datagram {
            length: received.bytes,
            truncated: received.flags.contains(rustix::net::ReturnFlags::TRUNC),
            peer: None,
            files: Vec::new(),
        };
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmCredentials(sender) => {
                    datagram.peer = Some(Peer { pid: sender.pid.as_raw_nonzero().get(), uid: sender.uid.as_raw() });
                }
                RecvAncillaryMessage::ScmRights(descriptors) => datagram.files.extend(descriptors),
                _ => {}
            }
        }
        Some(datagram)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// A path for a socket in the runtime directory: /run for root, so that jobs under other users can enter it, else
/// XDG_RUNTIME_DIR or /tmp, none of which may be a slow or frozen disk. `id` must be one that nobody can guess. None where
/// no such directory is safe.
pub fn runtime_path(id: &str) -> Option<PathBuf> {
    let is_root = rustix::process::geteuid().is_root();
    let own = if is_root { Some("/run".into()) } else { std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) };
    let dirs = [own, Some("/tmp".into())];
    dirs.into_iter()
        .flatten()
        .filter(|dir| dir.is_absolute() && is_safe(dir))
        .map(|dir| dir.join(format!("{PREFIX}{id}{SUFFIX}")))
        .find(|path| SocketAddrUnix::new(path).is_ok())
}

/// Names of our sockets in the runtime directory begin and end so.
const PREFIX: &str = "runner-";
const SUFFIX: &str = ".sock";
/// Maximum number of directory entries searched for stale sockets.
const SWEPT: usize = 1024;

/// Removes our stale sockets: their runner was killed while no job ran whose guard could remove them.
fn sweep(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let own = rustix::process::geteuid().as_raw();
    for entry in entries.flatten().take(SWEPT) {
        let name = entry.file_name();
        let is_ours = name.as_bytes().starts_with(PREFIX.as_bytes())
            && name.as_bytes().ends_with(SUFFIX.as_bytes())
            && entry.metadata().is_ok_and(|found| found.uid() == own);
        if !is_ours {
            continue;
        }
        let path = entry.path();
        if let (Ok(address), Ok(socket)) = (SocketAddrUnix::new(&path), new_socket(SocketFlags::CLOEXEC))
            && rustix::net::connect(&socket, &address) == Err(Errno::CONNREFUSED)
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// Other users cannot replace what we create in this directory.
fn is_safe(dir: &Path) -> bool {
    let writable = rustix::fs::access(dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok();
    writable
        && fs::metadata(dir).is_ok_and(|found| {
            let (own, mode) = (rustix::process::geteuid().as_raw(), found.mode());
            let by_others = mode & 0o022 != 0;
            let sticky = mode & 0o1000 != 0;
            found.is_dir() && [0, own].contains(&found.uid()) && (sticky || !by_others)
        })
}

fn bound_socket(address: &SocketAddrUnix) -> Result<OwnedFd> {
    let socket = new_socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    sockopt::set_socket_passcred(&socket, true).map_err(Error::system("make a socket"))?;
    rustix::net::bind(&socket, address).map_err(Error::system("make a socket"))?;
    Ok(socket)
}

fn new_socket(flags: SocketFlags) -> Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        .map_err(Error::system("make a socket"))
}

/// Both ends of a channel for the reply to a datagram: ours, and the one that goes with it.
pub fn reply_channel() -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(Error::system("make a socket"))
}

/// Replies through a descriptor that came with a datagram. Never waits, and writes to nothing but a socket.
pub fn reply(channel: BorrowedFd<'_>, bytes: &[u8]) {
    let _ = rustix::net::send(channel, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// Waits for the reply until the timeout. None: no reply yet. Empty: the receiver closed its end without one.
pub fn await_reply(channel: BorrowedFd<'_>, limit: Duration) -> Option<Vec<u8>> {
    super::poller::await_readable(channel, limit);
    let mut buffer = vec![0; REPLY_LIMIT];
    match rustix::net::recv(channel, &mut buffer[..], RecvFlags::DONTWAIT) {
        Ok((length, _)) => {
            buffer.truncate(length);
            Some(buffer)
        }
        Err(Errno::AGAIN) => None,
        Err(_) => Some(Vec::new()),
    }
}

/// The longest reply.
pub const REPLY_LIMIT: usize = 4 << 10;

/// Sends a datagram, and descriptors with it. Waits while the receiver's queue is full.
pub fn send(address: &OsStr, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let raw = address.as_bytes();
    let target = match raw.strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name),
        None => SocketAddrUnix::new(raw),
    };
    let target = target?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(files));
    }
    loop {
        match rustix::net::sendmsg_addr(&socket, &target, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// A memory file that holds these bytes and can never change.
pub fn sealed_file(bytes: &[u8]) -> Result<OwnedFd> {
    let failed = || Error::system("make a memory file");
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create("value", flags).map_err(failed())?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest).map_err(failed())?;
        rest = &rest[written..];
    }
    rustix::fs::fcntl_add_seals(&file, required_seals() | SealFlags::SEAL).map_err(failed())?;
    Ok(file)
}

/// Without these its content could change, or vanish, under whoever reads it.
fn required_seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE
}

/// Reads the memory file that was passed to this process under this descriptor number, and closes it.
pub fn take_sealed(number: i32) -> std::result::Result<Vec<u8>, &'static str> {
    if number <= 2 {
        return Err("invalid descriptor number");
    }
    // SAFETY: no other part of this process uses the number. If it is not open, every call fails with EBADF.
    let file = unsafe { BorrowedFd::borrow_raw(number) };
    let content = read_sealed(file, usize::MAX)?.ok_or("the descriptor is not a memory file")?;
    // SAFETY: it is open, and the parent passed it to this process for this one read.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
    Ok(content)
}

/// Reads a memory file. None where it is no such thing: descriptors come for other reasons, too.
pub fn read_sealed(file: BorrowedFd<'_>, limit: usize) -> std::result::Result<Option<Vec<u8>>, &'static str> {
    // Only a memory file has seals at all.
    let Ok(seals) = rustix::fs::fcntl_get_seals(file) else { return Ok(None) };
    if !seals.contains(required_seals()) {
        return Err("the memory file is not sealed against writing, growing and shrinking");
    }
    let size = rustix::fs::fstat(file).map_err(|_| "the memory file cannot be read")?.st_size;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > limit {
        return Err("the memory file is longer than 1 MiB");
    }
    let mut content = vec![0; size];
    let mut done = 0;
    while done < size {
        match rustix::io::pread(file, &mut content[done..], done as u64) {
            Ok(0) => return Err("the memory file is shorter than it says"),
            Ok(length) => done += length,
            Err(Errno::INTR) => {}
            Err(_) => return Err("the memory file cannot be read"),
        }
    }
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::Socket;

    #[test]
    fn a_socket_in_the_file_system_is_removed_with_its_owner_and_so_are_those_that_were_left() {
        let dir = tempfile::tempdir().unwrap();
        let [left, live, own, other] =
            ["runner-left.sock", "runner-live.sock", "runner-own.sock", "other.sock"].map(|name| dir.path().join(name));
        let _live = UnixDatagram::bind(&live).unwrap();
        for gone in [&left, &other] {
            drop(UnixDatagram::bind(gone).unwrap());
        }
        let socket = Socket::open_at(&own).unwrap();
        assert_eq!([&left, &live, &own, &other].map(|path| path.exists()), [false, true, true, true]);
        drop(socket);
        assert!(!own.exists());
    }
}
