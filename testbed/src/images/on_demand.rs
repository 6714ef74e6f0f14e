//! Builds an image when BuildKit first asks for it.
//!
//! BuildKit looks for an image in `registry`, and here if it is not there. So each request is for an image that is still to be
//! built. The answer is a redirect to `registry`, once it has the image.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::recipe::Recipe;
use super::{build, layouts, table};
use crate::cache::Cache;
use crate::error::{Error, Result, describe};
use crate::instance::{Instance, TESTS};
use crate::servers::images::Images;
use crate::servers::registry::Anonymous;
use crate::servers::server::{Context, Server};

/// Time limit for each read and write.
const LIMIT: Duration = Duration::from_secs(30);

/// The most bytes of a request's head.
const LARGEST_HEAD: u64 = 64 << 10;

/// Answers until the process is ended.
pub fn serve(cache: &Cache, testbed: &Path) -> Result<()> {
    let instance = Instance::claim(cache, testbed, TESTS)?;
    let address = Images.address(&Context::new(cache, &instance, &Images))?;
    let listener = TcpListener::bind(&address)
        .map_err(|error| Error::Usage(format!("cannot listen on {address}: {error}")))?;
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let instance = &instance;
            scope.spawn(move || {
                // Fails when the client has gone.
                let _ = answer(stream, LIMIT, |path| respond(cache, instance, path));
            });
        }
    });
    Ok(())
}

/// Reads one request and writes the status line and the header that `respond` gives for its path.
fn answer(
    mut stream: TcpStream,
    limit: Duration,
    respond: impl Fn(&str) -> String,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let head = match target(&stream)? {
        Some(target) => respond(target.split('?').next().unwrap_or_default()),
        None => "431 Request Header Fields Too Large".to_owned(),
    };
    // At once: a probe reads only the first packet.
    let response = format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(response.as_bytes())
}

/// Reads the head of a request and returns its target; `None` if the head is too long or ends too early.
fn target(stream: &TcpStream) -> std::io::Result<Option<String>> {
    let mut lines = BufReader::new(stream.take(LARGEST_HEAD)).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    // All of it: closing with unread bytes would reset the connection.
    for line in lines {
        if line?.is_empty() {
            return Ok(Some(
                request.split(' ').nth(1).unwrap_or_default().to_owned(),
            ));
        }
    }
    Ok(None)
}

fn respond(cache: &Cache, instance: &Instance, path: &str) -> String {
    if path == "/v2/" {
        return "200 OK".to_owned();
    }
    let Some(recipe) = recipe_of(path) else {
        return "404 Not Found".to_owned();
    };
    match provide(cache, instance, recipe) {
        Ok(registry) => format!("307 Temporary Redirect\r\nLocation: http://{registry}{path}"),
        Err(error) => {
            println!("{}: {}", recipe.name, describe(&error));
            "500 Internal Server Error".to_owned()
        }
    }
}

/// The image whose manifest is asked for by a tag.
fn recipe_of(path: &str) -> Option<&'static Recipe> {
    let (repository, tag) = path.strip_prefix("/v2/")?.split_once("/manifests/")?;
    table::find(&format!("{repository}:{tag}")).ok()
}

/// Builds an image and adds it to the registry, whose address it returns.
fn provide(cache: &Cache, instance: &Instance, recipe: &'static Recipe) -> Result<String> {
    build::build(cache, &instance.testbed, &[recipe])?;
    let registry = Context::new(cache, instance, &Anonymous);
    layouts::add_all(cache, &instance.testbed, &registry.path("storage"))?;
    Anonymous.address(&registry)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_path_of_a_manifest_names_an_image() {
        let name = |path| recipe_of(path).map(|recipe| recipe.name.as_str());
        assert_eq!(
            name("/v2/library/node/manifests/22-slim"),
            Some("node-22-slim")
        );
        assert_eq!(name("/v2/library/node/manifests/sha256:aa"), None);
        assert_eq!(name("/v2/library/node/blobs/sha256:aa"), None);
    }

    /// What the server answers to these bytes. A client that has said them waits.
    fn answer_to(said: &[u8], limit: Duration) -> std::io::Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        thread::scope(|scope| {
            let writer = client.try_clone().unwrap();
            scope.spawn(move || (&writer).write_all(said));
            answer(server, limit, |path| format!("307 To\r\nLocation: {path}"))
        })?;
        let mut text = Vec::new();
        let _ = client.read_to_end(&mut text);
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn a_request_is_answered_by_its_path() {
        let request = b"HEAD /v2/x?ns=y HTTP/1.1\r\nHost: x\r\n\r\n";
        let text = answer_to(request, LIMIT).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 307 To\r\nLocation: /v2/x\r\n"),
            "{text}"
        );
    }

    #[test]
    fn a_client_that_says_nothing_or_never_ends_is_left() {
        let brief = Duration::from_millis(50);
        for said in ["", "GET /v2/ HTTP/1.1\r\nHost: x"] {
            assert!(answer_to(said.as_bytes(), brief).is_err(), "{said:?}");
        }
        let long = "x".repeat(LARGEST_HEAD as usize);
        let text = answer_to(format!("GET /{long}").as_bytes(), LIMIT).unwrap();
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 431 "),
            "{text}"
        );
        let lines = "a: b\r\n".repeat(LARGEST_HEAD as usize / 6 + 1);
        let request = format!("GET / HTTP/1.1\r\n{lines}");
        let text = answer_to(request.as_bytes(), LIMIT).unwrap();
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 431 "),
            "{text}"
        );
    }
}
