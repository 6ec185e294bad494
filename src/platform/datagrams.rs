//! Datagram sockets between a job and us, and memory files that are passed between processes: unix(7), memfd_create(2).
//!
//! Addresses are abstract, so no file is left behind; a sender is known by the kernel's word, not by its own.

use std::ffi::OsStr;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

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
    name: String,
}

/// What came in one datagram.
#[derive(Debug)]
pub struct Datagram {
    pub length: usize,
    /// It was longer than the buffer.
    pub truncated: bool,
    /// The sender is of our own user, or root.
    pub from_job: bool,
    /// The first descriptor that came with it. The others are closed: who waits for that has its answer.
    pub file: Option<OwnedFd>,
}

impl Socket {
    /// Binds the abstract address `name`.
    pub fn open(name: &str) -> Result<Self> {
        let socket = new_socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        sockopt::set_socket_passcred(&socket, true).map_err(Error::system("make a socket"))?;
        let address = SocketAddrUnix::new_abstract_name(name.as_bytes()).map_err(Error::system("make a socket"))?;
        rustix::net::bind(&socket, &address).map_err(Error::system("make a socket"))?;
        Ok(Self { socket, name: name.to_owned() })
    }

    /// The address as sd_notify(3) writes it: `@` stands for the zero byte of an abstract one.
    pub fn address(&self) -> String {
        format!("@{}", self.name)
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
            from_job: false,
            file: None,
        };
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmCredentials(sender) => {
                    datagram.from_job = sender.uid.is_root() || sender.uid == rustix::process::getuid();
                }
                RecvAncillaryMessage::ScmRights(descriptors) => {
                    for descriptor in descriptors {
                        datagram.file.get_or_insert(descriptor);
                    }
                }
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

fn new_socket(flags: SocketFlags) -> Result<OwnedFd> {
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
        .map_err(Error::system("make a socket"))
}

/// Sends a datagram, and a memory file with it. Waits while the receiver's queue is full.
pub fn send(address: &OsStr, bytes: &[u8], file: Option<BorrowedFd<'_>>) -> Result<()> {
    let failed = || Error::system("reach the runner of this job");
    let socket = new_socket(SocketFlags::CLOEXEC)?;
    let raw = address.as_bytes();
    let target = match raw.strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name),
        None => SocketAddrUnix::new(raw),
    };
    let target = target.map_err(failed())?;
    let files: Vec<BorrowedFd<'_>> = file.into_iter().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&files));
    }
    loop {
        match rustix::net::sendmsg_addr(&socket, &target, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed()(errno)),
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
