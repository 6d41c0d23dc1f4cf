//! A small XML tree: what an overlay needs to read one known element of an answer, to edit it and to write it back.
//!
//! AWS answers use elements, text and one namespace attribute on the root; comments and processing instructions do not
//! occur and are dropped. Element order and text are kept as they came.

use std::fmt::Write as _;

use bytes::Bytes;
use http::header;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::call::Answer;

/// One element: its name, its attributes as they stood in the source, and what is inside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: String,
    pub(crate) children: Vec<Node>,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Element(Element),
    Text(String),
}

impl Element {
    /// An empty element.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// `<name>text</name>`.
    pub(crate) fn with_text(name: &str, text: &str) -> Self {
        let mut element = Self::new(name);
        element.set_text(text);
        element
    }

    /// Gives the element a namespace, when it has no attributes.
    pub(crate) fn ensure_namespace(&mut self, namespace: &str) {
        if self.attributes.is_empty() {
            self.attributes = format!("xmlns=\"{namespace}\"");
        }
    }

    /// Reads one document. `None` when `bytes` are not well-formed XML with a root element.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = Vec::new();
        loop {
            match reader.read_event().ok()? {
                Event::Start(start) => open.push(Self::from_start(&start)),
                Event::Empty(start) => {
                    let element = Self::from_start(&start);
                    match open.last_mut() {
                        Some(parent) => parent.children.push(Node::Element(element)),
                        None => return Some(element),
                    }
                }
                Event::End(_) => {
                    let element = open.pop()?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(Node::Element(element)),
                        None => return Some(element),
                    }
                }
                Event::Text(text) => append_text(open.last_mut(), &text.xml10_content()),
                Event::CData(data) => append_text(open.last_mut(), &data.into_inner()),
                Event::GeneralRef(reference) => {
                    let source = format!("&{};", reference.into_inner());
                    append_text(open.last_mut(), &unescape(&source).ok()?);
                }
                Event::Eof => return None,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
    }

    fn from_start(start: &BytesStart<'_>) -> Self {
        Self {
            name: start.name().as_ref().to_owned(),
            attributes: start.attributes_raw().trim_end().to_owned(),
            children: Vec::new(),
        }
    }

    /// The document with its declaration, as AWS sends it.
    pub(crate) fn to_document(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        let _ = write!(out, "<{}", self.name);
        if !self.attributes.is_empty() {
            let _ = write!(out, " {}", self.attributes.trim_start());
        }
        if self.children.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            match child {
                Node::Element(element) => element.write(out),
                Node::Text(text) => out.push_str(&escape(text.as_str())),
            }
        }
        let _ = write!(out, "</{}>", self.name);
    }

    /// The child elements in order.
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The child elements in order, to change.
    pub(crate) fn elements_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.children.iter_mut().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// The first child element of this name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.elements().find(|element| element.name == name)
    }

    /// The first child element of this name, to change.
    pub(crate) fn child_mut(&mut self, name: &str) -> Option<&mut Self> {
        self.elements_mut().find(|element| element.name == name)
    }

    /// The element that is reached by the names of `path`, one below the other.
    pub(crate) fn descend(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |element, name| element.child(name))
    }

    /// Every `item` of the list child `set`, EC2's way of writing lists.
    pub(crate) fn items<'a>(&'a self, set: &str) -> Vec<&'a Self> {
        self.child(set).map(|list| list.elements().filter(|e| e.name == "item").collect()).unwrap_or_default()
    }

    /// The text directly inside this element.
    pub(crate) fn text(&self) -> String {
        self.children
            .iter()
            .filter_map(|node| match node {
                Node::Text(text) => Some(text.as_str()),
                Node::Element(_) => None,
            })
            .collect()
    }

    /// The text of the first child of this name.
    pub(crate) fn child_text(&self, name: &str) -> Option<String> {
        self.child(name).map(Self::text)
    }

    /// Replaces everything inside by `text`.
    pub(crate) fn set_text(&mut self, text: &str) {
        self.children = if text.is_empty() { Vec::new() } else { vec![Node::Text(text.to_owned())] };
    }

    /// Sets the text of the first child of this name, adding it when there is none.
    pub(crate) fn set_child_text(&mut self, name: &str, text: &str) {
        match self.child_mut(name) {
            Some(child) => child.set_text(text),
            None => self.push(Self::with_text(name, text)),
        }
    }

    /// Adds a child element at the end.
    pub(crate) fn push(&mut self, child: Self) {
        self.children.push(Node::Element(child));
    }

    /// Keeps only the child elements for which `keep` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Self) -> bool) {
        self.children.retain(|node| match node {
            Node::Element(element) => keep(element),
            Node::Text(_) => true,
        });
    }

    /// Calls `visit` on this element and on every one below it, outer ones first.
    pub(crate) fn visit_mut(&mut self, visit: &mut impl FnMut(&mut Self)) {
        visit(self);
        for child in self.elements_mut() {
            child.visit_mut(visit);
        }
    }
}

/// Edits the document of an answer; an answer without one stays as it is.
pub(crate) fn edit_answer(answer: Answer, edit: impl FnOnce(&mut Element)) -> Answer {
    let Some(mut root) = Element::parse(answer.body()) else { return answer };
    edit(&mut root);
    with_document(answer, &root)
}

/// The answer with another document as its body.
pub(crate) fn with_document(answer: Answer, root: &Element) -> Answer {
    let mut answer = answer.map(|_| Bytes::from(root.to_document()));
    answer.headers_mut().remove(header::CONTENT_LENGTH);
    answer
}

fn append_text(parent: Option<&mut Element>, text: &str) {
    let Some(parent) = parent else { return };
    match parent.children.last_mut() {
        Some(Node::Text(present)) => present.push_str(text),
        _ => parent.children.push(Node::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_survives_reading_and_writing() {
        let source =
            r#"<?xml version="1.0"?><R xmlns="urn:x"><a>1 &amp; 2</a><set><item><id>i-1</id></item></set><e/></R>"#;
        let root = Element::parse(source.as_bytes()).expect("well-formed");
        assert_eq!(root.child_text("a").as_deref(), Some("1 & 2"));
        assert_eq!(root.items("set").len(), 1);
        assert_eq!(Element::parse(root.to_document().as_bytes()), Some(root.clone()));
        assert!(root.to_document().contains(r#"<R xmlns="urn:x">"#));
    }

    #[test]
    fn what_is_not_xml_is_refused() {
        assert_eq!(Element::parse(b""), None);
        assert_eq!(Element::parse(b"{\"a\":1}"), None);
        assert_eq!(Element::parse(b"<a><b></a>"), None);
    }

    #[test]
    fn an_edit_changes_one_element_only() {
        let mut root =
            Element::parse(b"<R><s><code>16</code><name>running</name></s><t>x</t></R>").expect("well-formed");
        root.child_mut("s").expect("s").set_child_text("name", "pending");
        assert_eq!(
            root.to_document().lines().nth(1),
            Some("<R><s><code>16</code><name>pending</name></s><t>x</t></R>")
        );
    }

    proptest! {
        #[test]
        fn any_text_survives(text in "[\\x20-\\x7e\u{a0}-\u{2fff}]{0,40}") {
            let root = Element::with_text("r", &text);
            let again = Element::parse(root.to_document().as_bytes()).expect("well-formed");
            prop_assert_eq!(again.text(), text);
        }
    }
}
