//! Health probes, by default with a limit of two seconds.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::error::Error;

const LIMIT: Duration = Duration::from_secs(2);

/// What a probe found: nothing wrong, or what is.
pub type Health = Result<(), String>;

impl From<Error> for String {
    /// For `?` in probes.
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

/// Whether `GET path` is answered with one of these status codes.
pub fn http(address: &str, path: &str, accepted: &[u16]) -> Health {
    http_within(LIMIT, address, path, accepted)
}

/// The same with another limit for each step.
fn http_within(limit: Duration, address: &str, path: &str, accepted: &[u16]) -> Health {
    let status = http_status(limit, address, path)
        .map_err(|error| format!("http://{address}{path}: {error}"))?;
    if accepted.contains(&status) {
        Ok(())
    } else {
        Err(format!("http://{address}{path} returned {status}"))
    }
}

/// Whether a unix socket takes connections.
pub fn unix(path: &Path) -> Health {
    UnixStream::connect(path)
        .map(drop)
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn http_status(limit: Duration, address: &str, path: &str) -> std::io::Result<u16> {
    let socket: SocketAddr = address.parse().map_err(std::io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&socket, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut head = [0; 64];
    let read = stream.read(&mut head)?;
    parse_status(&head[..read]).ok_or_else(|| std::io::Error::other("the answer is not HTTP"))
}

fn parse_status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head).ok()?.strip_prefix("HTTP/1.")?;
    line.split(' ').nth(1)?.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(parse_status(b"HTTP/1.1 401 Unauthorized\r\n"), Some(401));
        assert_eq!(parse_status(b"HTTP/1.0 200\r\n\r\n"), Some(200));
        assert_eq!(parse_status(b"SSH-2.0-OpenSSH"), None);
    }

    #[test]
    fn an_unaccepted_status_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            // Closing with unread bytes would reset the connection.
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(b"HTTP/1.1 503 Not yet\r\n\r\n").unwrap();
        });
        let limit = Duration::from_secs(60);
        let why = http_within(limit, &address, "/ready", &[200]).unwrap_err();
        assert!(why.ends_with("/ready returned 503"), "{why}");
        server.join().unwrap();
    }
}
