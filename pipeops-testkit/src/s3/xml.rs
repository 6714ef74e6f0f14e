//! The XML of requests and responses.

use http::{Response, StatusCode};
use quick_xml::escape::escape;
use quick_xml::events::Event;

use crate::serve::{Body, full, with_type};

/// Writes one document.
pub(super) struct Writer {
    out: String,
    open: Vec<&'static str>,
}

impl Writer {
    pub(super) fn new(root: &'static str) -> Self {
        let mut writer = Self {
            out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(),
            open: Vec::new(),
        };
        writer.open(root);
        writer
    }

    pub(super) fn open(&mut self, name: &'static str) -> &mut Self {
        self.out.push_str(&format!("<{name}>"));
        self.open.push(name);
        self
    }

    pub(super) fn close(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            self.out.push_str(&format!("</{name}>"));
        }
        self
    }

    pub(super) fn text(&mut self, name: &str, text: impl std::fmt::Display) -> &mut Self {
        let text = text.to_string();
        self.out
            .push_str(&format!("<{name}>{}</{name}>", escape(&text)));
        self
    }

    fn finish(&mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        std::mem::take(&mut self.out)
    }
}

/// An answer with a document.
pub(super) fn xml_answer(document: &mut Writer) -> Response<Body> {
    let body = full(document.finish());
    with_type(StatusCode::OK, "application/xml", body)
}

/// A document that is no XML.
#[derive(Debug)]
pub(super) struct Malformed;

/// The texts of a document, each with the names of the elements around it: `CompleteMultipartUpload/Part/ETag`.
pub(super) fn texts(bytes: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    let mut reader = quick_xml::Reader::from_reader(bytes);
    let mut path: Vec<String> = Vec::new();
    let mut texts: Vec<(String, String)> = Vec::new();
    // An element's text comes in pieces where it holds references: `&quot;`.
    let mut text = String::new();
    // Between elements there is only white space.
    let mut leaf = false;
    loop {
        match reader.read_event().map_err(|_| Malformed)? {
            Event::Start(element) => {
                let name = element.local_name();
                path.push(String::from_utf8_lossy(name.as_ref()).into_owned());
                text.clear();
                leaf = true;
            }
            Event::Text(piece) => text.push_str(&piece.decode().map_err(|_| Malformed)?),
            Event::GeneralRef(reference) => {
                let name = reference.decode().map_err(|_| Malformed)?;
                let escaped = format!("&{name};");
                let resolved = quick_xml::escape::unescape(&escaped).map_err(|_| Malformed)?;
                text.push_str(&resolved);
            }
            Event::End(_) => {
                if std::mem::take(&mut leaf) {
                    texts.push((path.join("/"), std::mem::take(&mut text)));
                }
                path.pop();
            }
            Event::Eof if path.is_empty() => return Ok(texts),
            Event::Eof => return Err(Malformed),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_escaped_and_closed() {
        let mut writer = Writer::new("A");
        writer.open("B").text("C", "x<&>\"").close().text("D", 1);
        assert!(
            writer
                .finish()
                .ends_with("<A><B><C>x&lt;&amp;&gt;&quot;</C></B><D>1</D></A>")
        );
    }

    #[test]
    fn texts_are_found_with_their_place() {
        let xml =
            b"<?xml version=\"1.0\"?>\n<C xmlns=\"u\"> <P><E>a &quot; b</E>\n<N>1</N> </P></C>";
        let expected = [("C/P/E", "a \" b"), ("C/P/N", "1")];
        let expected = expected.map(|(place, text)| (place.to_owned(), text.to_owned()));
        assert_eq!(texts(xml).unwrap(), expected);
        assert!(texts(b"<a><b></a>").is_err() && texts(b"<a>").is_err());
    }
}
