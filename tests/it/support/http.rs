//! An HTTP server for tests, on loopback alone: each request is answered as the test's script says, in whole, in part,
//! broken off, or not at all.
//!
//! Dropping it ends its threads. It keeps every request for the test to look at.

#![expect(clippy::disallowed_methods, reason = "a server for tests sets its own pace")]
#![expect(
    unsafe_code,
    reason = "a connection is reset through an option that has no safe form in the standard library"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// So many connections are served; a test that makes more has gone astray.
const CONNECTIONS: usize = 200;
/// How often a waiting thread looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// What stands behind the method: a path, or for a proxy a whole URL.
    pub(crate) target: String,
    headers: Vec<(String, String)>,
    /// What was sent with it.
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first byte that is asked for, where it is not all.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// As it should.
    Whole,
    /// The connection is reset after so many bytes.
    Reset(usize),
    /// The connection is closed after so many bytes.
    Closed(usize),
    /// Nothing more comes after so many bytes, and the connection stays open.
    Silent(usize),
}

/// What a request is answered with.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    ending: Ending,
    with_length: bool,
    /// So many bytes at a time, with a pause between.
    drip: Option<(usize, Duration)>,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let (headers, ending) = (Vec::new(), Ending::Whole);
        Self { status, headers, body: body.into(), ending, with_length: true, drip: None }
    }

    /// What the request asks for: all of it, or the part from where the range begins.
    pub(crate) fn of_file(file: &[u8], etag: &str, request: &Request) -> Self {
        let same = request.header("if-range").is_none_or(|validator| validator == etag);
        let reply = match request.range_start().filter(|_| same) {
            Some(start) if start >= file.len() => {
                Self::new(416, "").header("Content-Range", format!("bytes */{}", file.len()))
            }
            Some(start) => Self::new(206, &file[start..])
                .header("Content-Range", format!("bytes {start}-{}/{}", file.len() - 1, file.len())),
            None => Self::new(200, file),
        };
        reply.header("ETag", etag)
    }

    pub(crate) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn without_length(mut self) -> Self {
        self.with_length = false;
        self
    }

    pub(crate) fn reset_after(mut self, bytes: usize) -> Self {
        self.ending = Ending::Reset(bytes);
        self
    }

    pub(crate) fn closed_after(mut self, bytes: usize) -> Self {
        self.ending = Ending::Closed(bytes);
        self
    }

    pub(crate) fn silent_after(mut self, bytes: usize) -> Self {
        self.ending = Ending::Silent(bytes);
        self
    }

    pub(crate) fn dripping(mut self, bytes: usize, pause: Duration) -> Self {
        self.drip = Some((bytes, pause));
        self
    }
}

type Script = dyn Fn(usize, &Request) -> Reply + Send + Sync;

/// A server that runs until it is dropped.
pub(crate) struct Server {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    listener: TcpListener,
    script: Box<Script>,
    requests: Mutex<Vec<Request>>,
    count: AtomicUsize,
    over: AtomicBool,
}

impl Server {
    /// Answers as the script says, which is given the number of the request, from 0 on, and the request.
    pub(crate) fn start(script: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared {
            listener,
            script: Box::new(script),
            requests: Mutex::default(),
            count: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let accept = Arc::clone(&shared);
        let acceptor = Some(thread::spawn(move || accept.serve()));
        Self { port, shared, acceptor }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a path that begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The same with a name and a password, as they stand in a URL.
    pub(crate) fn url_with_user(&self, user: &str, path: &str) -> String {
        self.url(path).replacen("://", &format!("://{user}@"), 1)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no thread panics with it").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        // Wakes whoever waits for a connection.
        _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(acceptor) = self.acceptor.take() {
            _ = acceptor.join();
        }
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    fn serve(self: &Arc<Self>) {
        let mut threads = Vec::new();
        while threads.len() < CONNECTIONS {
            let Ok((stream, _)) = self.listener.accept() else { break };
            if self.is_over() {
                break;
            }
            let shared = Arc::clone(self);
            // A client that goes away in the middle is no error of the server's.
            threads.push(thread::spawn(move || _ = shared.answer(&stream)));
        }
        for thread in threads {
            _ = thread.join();
        }
    }

    fn answer(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let Some(request) = read_request(stream)? else { return Ok(()) };
        let number = self.count.fetch_add(1, Ordering::AcqRel);
        self.requests.lock().expect("no thread panics with it").push(request.clone());
        let reply = (self.script)(number, &request);
        let mut head = format!("HTTP/1.1 {} Reason\r\nConnection: close\r\n", reply.status);
        if reply.with_length {
            head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
        }
        for (name, value) in &reply.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut out = stream;
        let length = match reply.ending {
            Ending::Whole => reply.body.len(),
            Ending::Reset(bytes) | Ending::Closed(bytes) | Ending::Silent(bytes) => bytes.min(reply.body.len()),
        };
        out.write_all(format!("{head}\r\n").as_bytes())?;
        let (portion, pause) = reply.drip.unwrap_or((usize::MAX, Duration::ZERO));
        for chunk in reply.body[..length].chunks(portion.min(64 << 10)) {
            out.write_all(chunk)?;
            if self.is_over() {
                return Ok(());
            }
            thread::sleep(pause);
        }
        match reply.ending {
            Ending::Whole | Ending::Closed(_) => {
                stream.shutdown(Shutdown::Write)?;
                self.await_hangup(stream)
            }
            Ending::Silent(_) => self.await_hangup(stream),
            Ending::Reset(_) => {
                // What the client has not yet got would be lost with the reset.
                await_taken(stream);
                reset(stream);
                Ok(())
            }
        }
    }

    /// Waits until the client hangs up.
    fn await_hangup(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(LOOK))?;
        let mut byte = [0];
        loop {
            let mut input = stream;
            match input.read(&mut byte) {
                Err(error) if !self.is_over() && error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => return Ok(()),
            }
        }
    }
}

fn read_request(stream: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut reader = BufReader::new(stream);
    let first = read_line(&mut reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(None) };
    let mut request = Request { method, target, headers: Vec::new(), body: Vec::new() };
    while let Some((name, value)) = read_line(&mut reader)?.split_once(':') {
        request.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    if let Some(length) = request.header("content-length").and_then(|length| length.parse().ok()) {
        request.body = vec![0; length];
        reader.read_exact(&mut request.body)?;
    } else if request.header("transfer-encoding").is_some() {
        loop {
            let length = usize::from_str_radix(&read_line(&mut reader)?, 16).unwrap_or_default();
            let mut chunk = vec![0; length];
            reader.read_exact(&mut chunk)?;
            request.body.append(&mut chunk);
            read_line(&mut reader)?;
            if length == 0 {
                break;
            }
        }
    }
    Ok(Some(request))
}

fn read_line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    line.truncate(line.trim_end().len());
    Ok(line)
}

/// Waits until the system of the client has everything that was written.
fn await_taken(stream: &TcpStream) {
    loop {
        let mut open: libc::c_int = 0;
        // SAFETY: SIOCOUTQ (which has this number) writes one int.
        let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut open) };
        if result != 0 || open == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// The next close sends a reset.
fn reset(stream: &TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: pointer and length are those of a live structure.
    unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        );
    }
}
