//! A small tree over an XML document, for the formats that are XML: bounded in depth, nodes and bytes, without
//! namespaces, and without entities of its own, so that a document cannot grow while it is read.

use std::borrow::Cow;

use encoding_rs::{Encoding, GB18030, UTF_8, UTF_16BE, UTF_16LE};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};

use crate::ecg::error::EcgError;

/// Largest document, in bytes: a day of three leads as decimal digits is about 300 MB.
const BYTES_MAX: usize = 512 << 20;
/// Most elements; ECG documents have a few thousand.
const ELEMENTS_MAX: usize = 400_000;
/// Deepest nesting; ECG documents have about twenty levels.
const DEPTH_MAX: usize = 64;
/// Most attributes kept of one element.
const ATTRIBUTES_MAX: usize = 32;

/// Text of a document in whichever encoding it is. A document that says UTF-8 but is not is taken as the Chinese code
/// page, which carts of the region write.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    const DECLARATION_BYTES_MAX: usize = 200;
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0;
    }
    match bytes {
        [b'<', 0, ..] => return UTF_16LE.decode_without_bom_handling(bytes).0,
        [0, b'<', ..] => return UTF_16BE.decode_without_bom_handling(bytes).0,
        _ => {}
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION_BYTES_MAX)]).into_owned();
    let declared = head.split("?>").next().and_then(|declaration| {
        let rest = declaration.split_once("encoding")?.1;
        let quoted = rest.trim_start().strip_prefix('=')?.trim_start();
        let label = quoted.get(1..)?.split(['"', '\'']).next()?;
        Encoding::for_label(label.as_bytes())
    });
    match declared {
        Some(encoding) if encoding != UTF_8 && encoding != UTF_16LE && encoding != UTF_16BE => {
            encoding.decode_without_bom_handling(bytes).0
        }
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => {
                let (chinese, broken) = GB18030.decode_without_bom_handling(bytes);
                if broken {
                    String::from_utf8_lossy(bytes)
                } else {
                    chinese
                }
            }
        },
    }
}

/// Local name of the root element within the first bytes, for telling formats apart.
pub(super) fn root_name(bytes: &[u8]) -> Option<String> {
    const SNIFFED_BYTES_MAX: usize = 64 << 10;
    let head = decode(&bytes[..bytes.len().min(SNIFFED_BYTES_MAX)]);
    let mut reader = quick_xml::Reader::from_str(head.trim_start());
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) | Event::Empty(start) => return Some(local_name(&start)),
            Event::Text(text) if text.trim_ascii().is_empty() => {}
            Event::Eof | Event::Text(_) | Event::End(_) => return None,
            _ => {}
        }
    }
}

fn local_name(start: &BytesStart<'_>) -> String {
    String::from_utf8_lossy(start.local_name().into_inner()).into_owned()
}

struct Node<'t> {
    name: String,
    attributes: Vec<(String, String)>,
    text: Cow<'t, str>,
    children: Vec<usize>,
}

/// A whole document.
pub(super) struct Document<'t> {
    nodes: Vec<Node<'t>>,
}

impl<'t> Document<'t> {
    /// Reads a document.
    ///
    /// # Errors
    /// [`EcgError::Cut`] for one that ends within an element, [`EcgError::Field`] for one that is not XML,
    /// [`EcgError::TooLarge`] beyond the limits.
    pub(super) fn parse(format: &'static str, text: &'t str) -> Result<Self, EcgError> {
        let too_large = |what, value: usize, limit: usize| EcgError::TooLarge {
            format,
            what,
            value: value as u64,
            limit: limit as u64,
        };
        if text.len() > BYTES_MAX {
            return Err(too_large("document length", text.len(), BYTES_MAX));
        }
        let mut reader = quick_xml::Reader::from_str(text);
        let mut document = Self { nodes: Vec::new() };
        let mut open: Vec<usize> = Vec::new();
        loop {
            let event = reader.read_event().map_err(|error| {
                let place = format!("{error} at byte {}", reader.error_position());
                EcgError::field(format, "XML", place, "well-formed XML; send the file again")
            })?;
            match event {
                Event::Start(start) => {
                    if open.len() >= DEPTH_MAX {
                        return Err(too_large("nesting depth", open.len() + 1, DEPTH_MAX));
                    }
                    let place = document.push(&start, open.last().copied());
                    open.push(place);
                }
                Event::Empty(start) => {
                    document.push(&start, open.last().copied());
                }
                Event::End(_) => {
                    open.pop();
                }
                Event::Eof => break,
                other => document.add_text(open.last().copied(), other),
            }
            if document.nodes.len() > ELEMENTS_MAX {
                return Err(too_large(
                    "number of elements",
                    document.nodes.len(),
                    ELEMENTS_MAX,
                ));
            }
        }
        if let Some(place) = open.first() {
            let (what, got) = (
                format!("the element {:.40}", document.nodes[*place].name),
                text.len() as u64,
            );
            return Err(EcgError::Cut {
                format,
                what,
                wanted: got + 1,
                got,
            });
        }
        if document.nodes.is_empty() {
            return Err(EcgError::NoSignal { format });
        }
        Ok(document)
    }

    /// Text, in whatever form it stands, of the element that is open.
    fn add_text(&mut self, open: Option<usize>, event: Event<'t>) {
        let Some(place) = open else { return };
        let part = match event {
            Event::Text(part) => utf8(part.into_inner()),
            Event::CData(part) => utf8(part.into_inner()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => Cow::Owned(character.to_string()),
                _ => Cow::Borrowed(entity(&utf8(reference.into_inner())).unwrap_or_default()),
            },
            _ => return,
        };
        append(&mut self.nodes[place].text, part);
    }

    fn push(&mut self, start: &BytesStart<'_>, parent: Option<usize>) -> usize {
        let mut attributes = start.attributes();
        let attributes = attributes.with_checks(false).take(ATTRIBUTES_MAX).flatten();
        let attributes = attributes.map(|attribute| {
            let key = String::from_utf8_lossy(attribute.key.local_name().into_inner()).into_owned();
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            (key, value.map(Cow::into_owned).unwrap_or_default())
        });
        let place = self.nodes.len();
        self.nodes.push(Node {
            name: local_name(start),
            attributes: attributes.collect(),
            text: Cow::Borrowed(""),
            children: Vec::new(),
        });
        if let Some(parent) = parent {
            self.nodes[parent].children.push(place);
        }
        place
    }

    /// The outermost element.
    pub(super) fn root(&self) -> Element<'_> {
        Element {
            nodes: &self.nodes,
            place: 0,
        }
    }
}

fn utf8(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// The five entities of XML itself; others, which a document could define to grow without end, are left out.
fn entity(name: &str) -> Option<&'static str> {
    Some(match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "quot" => "\"",
        "apos" => "'",
        _ => return None,
    })
}

/// The usual one piece of text stays borrowed from the document.
fn append<'t>(text: &mut Cow<'t, str>, part: Cow<'t, str>) {
    if text.is_empty() {
        *text = part;
    } else {
        text.to_mut().push_str(&part);
    }
}

/// One element of a document.
#[derive(Clone, Copy)]
pub(super) struct Element<'d> {
    nodes: &'d [Node<'d>],
    place: usize,
}

impl<'d> Element<'d> {
    fn node(&self) -> &'d Node<'d> {
        &self.nodes[self.place]
    }

    /// Name without prefix.
    pub(super) fn name(&self) -> &'d str {
        &self.node().name
    }

    /// Text directly inside, entities resolved.
    pub(super) fn text(&self) -> &'d str {
        &self.node().text
    }

    /// An attribute by its name without prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<&'d str> {
        let found = self.node().attributes.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Elements directly inside.
    pub(super) fn elements(&self) -> impl Iterator<Item = Element<'d>> + use<'d> {
        let nodes = self.nodes;
        self.node()
            .children
            .iter()
            .map(move |place| Element { nodes, place: *place })
    }

    /// Elements directly inside with a name.
    pub(super) fn children(&self, name: &'d str) -> impl Iterator<Item = Element<'d>> + use<'d> {
        self.elements().filter(move |element| element.name() == name)
    }

    /// The first element along a path of names.
    pub(super) fn at(&self, path: &[&'d str]) -> Option<Element<'d>> {
        match path.split_first() {
            None => Some(*self),
            Some((first, rest)) => self.children(first).find_map(|child| child.at(rest)),
        }
    }

    /// Trimmed text of the first element along a path; `None` where it is empty.
    pub(super) fn text_at(&self, path: &[&'d str]) -> Option<&'d str> {
        let text = self.at(path)?.text().trim();
        (!text.is_empty()).then_some(text)
    }

    /// A number at a path.
    pub(super) fn number_at(&self, path: &[&'d str]) -> Option<f64> {
        self.text_at(path)?
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
    }

    /// All elements with a name, at any depth, in document order.
    pub(super) fn descendants(&self, name: &'d str) -> impl Iterator<Item = Element<'d>> + use<'d> {
        let mut waiting = vec![*self];
        std::iter::from_fn(move || {
            while let Some(element) = waiting.pop() {
                let inside: Vec<_> = element.elements().collect();
                waiting.extend(inside.into_iter().rev());
                if element.name() == name {
                    return Some(element);
                }
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tree_is_walked() {
        let text = "<?xml version='1.0'?><a:r x='1&lt;2'><b>one &amp; <![CDATA[<two>]]></b><b/><c><b>3.5</b></c></a:r>";
        let document = Document::parse("aecg", text).unwrap();
        let root = document.root();
        assert_eq!((root.name(), root.attribute("x")), ("r", Some("1<2")));
        assert_eq!(root.text_at(&["b"]), Some("one & <two>"));
        assert_eq!(root.number_at(&["c", "b"]), Some(3.5));
        assert_eq!(root.descendants("b").count(), 3);
        assert_eq!(root.children("b").count(), 2);
    }

    #[test]
    fn documents_of_every_encoding() {
        let check = |bytes: &[u8]| assert!(decode(bytes).contains("张三"), "{bytes:?}");
        let text = "<?xml version=\"1.0\" encoding=\"gb2312\"?><n>张三</n>";
        check(&GB18030.encode(text).0);
        let wrong = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><n>张三</n>";
        check(&GB18030.encode(wrong).0);
        check(wrong.as_bytes());
        let utf16: Vec<u8> = "<n>张三</n>".encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&utf16);
        check(&[&[0xff, 0xfe][..], &utf16].concat());
    }

    #[test]
    fn what_is_no_whole_document_is_refused() {
        let check = |text: &str| assert!(Document::parse("aecg", text).is_err(), "{text}");
        check("");
        check("plain");
        check("<a><b></a>");
        check(&"<a>".repeat(100));
        check(&format!("<r>{}</r>", "<a/>".repeat(ELEMENTS_MAX + 1)));
        assert!(matches!(
            Document::parse("aecg", "<a><b/>"),
            Err(EcgError::Cut { .. })
        ));
        // A hostile name does not flood the message.
        let long = format!("<a><{}>", "b".repeat(5_000));
        assert!(Document::parse("aecg", &long).err().unwrap().to_string().len() < 300);
    }

    #[test]
    fn entities_of_a_document_do_not_grow_it() {
        let text = "<!DOCTYPE r [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]><r>x&b;y</r>";
        let document = Document::parse("aecg", text).unwrap();
        assert_eq!(document.root().text(), "xy");
    }

    #[test]
    fn the_root_tells_the_format() {
        let check =
            |text: &str, expect: Option<&str>| assert_eq!(root_name(text.as_bytes()).as_deref(), expect);
        check(
            "<?xml version='1.0'?><!-- x --><!DOCTYPE RestingECG><RestingECG/>",
            Some("RestingECG"),
        );
        check("\n<h:AnnotatedECG xmlns:h='x'>", Some("AnnotatedECG"));
        check("no markup", None);
    }

    proptest! {
        #[test]
        fn hostile_text_never_panics(text in "[<>/a-c&;#x!\\[\\]'\"= -]{0,200}") {
            let _ = root_name(text.as_bytes());
            if let Ok(document) = Document::parse("aecg", &text) {
                let _ = document.root().descendants("a").count();
            }
        }
    }
}
