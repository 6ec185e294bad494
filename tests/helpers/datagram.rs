//! A job's end of the conversation, made of system calls alone: nothing of runner's own code sends for these tests.

#![expect(unsafe_code, reason = "a datagram with a descriptor has no form in the standard library")]

use std::ffi::c_void;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Every seal that keeps a memory file as it is.
pub(crate) const ALL_SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;

/// Sends one datagram to an address as sd_notify(3) writes it, and a descriptor with it. Waits while the queue is full.
pub(crate) fn send(address: &[u8], bytes: &[u8], file: Option<BorrowedFd<'_>>) -> std::io::Result<()> {
    // SAFETY: the structures are plain data for which all zeroes is valid, and all that is pointed to outlives the
    // calls; `space` is larger and more strictly aligned than one control message with one descriptor.
    unsafe {
        let socket = libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let mut name: libc::sockaddr_un = std::mem::zeroed();
        name.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (to, from) in name.sun_path.iter_mut().zip(address) {
            *to = *from as libc::c_char;
        }
        if address.first() == Some(&b'@') {
            name.sun_path[0] = 0;
        }
        let mut part = libc::iovec { iov_base: bytes.as_ptr() as *mut c_void, iov_len: bytes.len() };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_name = (&raw mut name).cast();
        message.msg_namelen = (std::mem::offset_of!(libc::sockaddr_un, sun_path) + address.len()) as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        let mut space = [0_u64; 8];
        if let Some(file) = file {
            message.msg_control = space.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(size_of::<i32>() as u32) as _;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<i32>() as u32) as _;
            libc::CMSG_DATA(header).cast::<i32>().write_unaligned(file.as_raw_fd());
        }
        let sent = loop {
            if libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) >= 0 {
                break Ok(());
            }
            let error = std::io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::EINTR) {
                break Err(error);
            }
        };
        libc::close(socket);
        sent
    }
}

/// A memory file with this content and these seals.
pub(crate) fn memory_file(content: &[u8], seals: i32) -> OwnedFd {
    // SAFETY: the name ends with NUL, pointer and length are those of a live slice, nobody else owns the descriptor.
    unsafe {
        let file = libc::memfd_create(c"value".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
        let mut rest = content;
        while !rest.is_empty() {
            let written = libc::write(file, rest.as_ptr().cast(), rest.len());
            rest = &rest[usize::try_from(written).unwrap_or(rest.len())..];
        }
        libc::fcntl(file, libc::F_ADD_SEALS, seals);
        OwnedFd::from_raw_fd(file)
    }
}
