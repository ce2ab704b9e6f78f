//! A small XML tree: written and read by quick-xml, so that no text of a user can break out of its place.

use quick_xml::Writer;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use quick_xml::name::QName;
use quick_xml::reader::Reader;
use std::borrow::Cow;

/// One element with its attributes, children and own text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Name, with its prefix if it has one.
    pub name: Cow<'static, str>,
    /// Attributes in order.
    pub attributes: Vec<(Cow<'static, str>, String)>,
    /// Child elements in order.
    pub children: Vec<Element>,
    /// The text directly inside, put together.
    pub text: String,
}

/// An element called `name`.
pub fn element(name: &'static str) -> Element {
    Element { name: Cow::Borrowed(name), ..Element::default() }
}

impl Element {
    /// Adds an attribute.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((Cow::Borrowed(name), value.to_string()));
        self
    }
    /// Adds an attribute, when there is a value.
    pub fn with_some(self, name: &'static str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
    /// Adds a child.
    pub fn holding(mut self, child: Element) -> Self {
        self.children.push(child);
        self
    }
    /// Adds children.
    pub fn holding_all(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children);
        self
    }
    /// Sets the text.
    pub fn saying(mut self, text: impl ToString) -> Self {
        self.text = text.to_string();
        self
    }
    /// The first child called `name`.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }
    /// The child at the end of a path of names.
    pub fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |here, name| here.child(name))
    }
    /// All children called `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |c| c.name == name)
    }
    /// An attribute's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The element as an indented document. Characters that XML 1.0 can't carry become U+FFFD.
    pub fn to_xml(&self) -> String {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        self.write(&mut writer).expect("writing into memory can't fail");
        String::from_utf8(writer.into_inner()).expect("only text was written")
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let mut start = BytesStart::new(&*self.name);
        for (name, value) in &self.attributes {
            let value = Cow::Owned(escape_attribute(value).into_bytes());
            start.push_attribute(Attribute { key: QName(name.as_bytes()), value });
        }
        if self.children.is_empty() && self.text.is_empty() {
            return writer.write_event(Event::Empty(start));
        }
        writer.write_event(Event::Start(start))?;
        if !self.text.is_empty() {
            writer.write_event(Event::Text(BytesText::from_escaped(escape_text(&self.text))))?;
        }
        for child in &self.children {
            child.write(writer)?;
        }
        writer.write_event(Event::End(BytesEnd::new(&*self.name)))
    }

    /// Reads a document.
    ///
    /// # Errors
    /// A sentence that says where it is not well-formed.
    pub fn parse(xml: &str) -> Result<Element, String> {
        let mut reader = Reader::from_str(xml);
        let mut open: Vec<Element> = Vec::new();
        loop {
            let closed = match reader.read_event() {
                Err(error) => return Err(format!("at byte {}: {error}", reader.error_position())),
                Ok(Event::Eof) => return Err("the document ends early".into()),
                Ok(Event::Start(start)) => {
                    open.push(opened(&start)?);
                    None
                }
                Ok(Event::Empty(start)) => Some(opened(&start)?),
                Ok(Event::End(_)) => open.pop(),
                Ok(event) => {
                    if let Some(inner) = open.last_mut() {
                        inner.text.push_str(&text_of(&event)?);
                    }
                    None
                }
            };
            let Some(mut closed) = closed else { continue };
            if !closed.children.is_empty() {
                closed.text.clear(); // indentation
            }
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => return Ok(closed),
            }
        }
    }
}

fn opened(start: &BytesStart<'_>) -> Result<Element, String> {
    let mut read = Element {
        name: Cow::Owned(String::from_utf8_lossy(start.name().as_ref()).into_owned()),
        ..Element::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        let value = attribute.unescape_value().map_err(|e| e.to_string())?.into_owned();
        let name = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        read.attributes.push((Cow::Owned(name), value));
    }
    Ok(read)
}

/// The text an event between tags stands for; nothing for comments and declarations.
fn text_of(event: &Event<'_>) -> Result<String, String> {
    match event {
        Event::Text(text) => Ok(text.xml10_content().map_err(|e| e.to_string())?.into_owned()),
        Event::CData(data) => Ok(data.xml10_content().map_err(|e| e.to_string())?.into_owned()),
        Event::GeneralRef(reference) => {
            if let Some(c) = reference.resolve_char_ref().map_err(|e| e.to_string())? {
                return Ok(c.to_string());
            }
            let name = reference.decode().map_err(|e| e.to_string())?;
            quick_xml::escape::resolve_predefined_entity(&name)
                .map(str::to_owned)
                .ok_or_else(|| format!("unknown entity &{name};"))
        }
        Event::Start(_) | Event::Empty(_) | Event::End(_) | Event::Eof => Ok(String::new()),
        Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => Ok(String::new()),
    }
}

/// `text` with what XML 1.0 can't carry replaced.
pub fn carriable(text: &str) -> Cow<'_, str> {
    let bad = |c: char| (c < ' ' && !matches!(c, '\n' | '\r' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}');
    if text.contains(bad) { Cow::Owned(text.replace(bad, "\u{fffd}")) } else { Cow::Borrowed(text) }
}

/// Text content: a reader would turn a bare carriage return into a line feed.
fn escape_text(text: &str) -> String {
    quick_xml::escape::escape(carriable(text)).replace('\r', "&#13;")
}

/// An attribute's value: a reader would turn bare line breaks and tabs into spaces.
fn escape_attribute(text: &str) -> String {
    escape_text(text).replace('\n', "&#10;").replace('\t', "&#9;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_documents_are_refused() {
        for bad in ["", "<a>", "<a></b>", "<a b></a>", "<a>&nope;</a>", "</a>", "text"] {
            assert!(Element::parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_and_attribute_is_read_back_as_written(text in any::<String>(), value in any::<String>()) {
            let written = element("a").holding(element("b").with("c", &value).saying(&text)).holding(element("d"));
            let read = Element::parse(&written.to_xml()).expect("well-formed");
            let b = read.child("b").expect("the child");
            prop_assert_eq!(&b.text, &carriable(&text));
            prop_assert_eq!(b.get("c").expect("the attribute"), &carriable(&value));
            prop_assert_eq!(read.children.len(), 2);
        }
        #[test]
        fn reading_anything_never_panics(xml in "[<>/a-c&;#x0-9= \"'!\\[\\]?-]{0,60}") {
            let _ = Element::parse(&xml);
        }
    }
}
