//! A strict reading of our own markup: balanced elements, unique ids, one h1, a name for every control.

use std::collections::BTreeSet;

const VOID: [&str; 7] = ["meta", "link", "input", "br", "hr", "img", "col"];

/// Attributes of a tag, with their unescaped-enough values.
fn attributes(tag: &str) -> Result<Vec<(String, String)>, String> {
    let mut rest = tag;
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest == "/" {
            return Ok(found);
        }
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.contains(['"', '\'', '<']) {
            return Err(format!("odd attribute in <{tag}>"));
        }
        match after.strip_prefix("=\"") {
            Some(value) => {
                let end = value.find('"').ok_or_else(|| format!("unclosed attribute in <{tag}>"))?;
                found.push((name.to_owned(), value[..end].to_owned()));
                rest = &value[end + 1..];
            }
            None if after.starts_with('=') => return Err(format!("unquoted attribute in <{tag}>")),
            None => {
                found.push((name.to_owned(), String::new()));
                rest = after;
            }
        }
    }
}

/// What a first pass over a page found.
#[derive(Default)]
struct Seen {
    open: Vec<String>,
    ids: BTreeSet<String>,
    labelled: BTreeSet<String>,
    referred: Vec<String>,
    controls: Vec<(String, Option<String>)>,
    headings: usize,
}

impl Seen {
    fn begin(&mut self, name: &str, tag: &str) -> Result<(), String> {
        let attributes = attributes(&tag[name.len()..])?;
        let get = |n: &str| attributes.iter().find(|(k, _)| k == n).map(|(_, v)| v.clone());
        let names: BTreeSet<_> = attributes.iter().map(|(k, _)| k).collect();
        if names.len() != attributes.len() {
            return Err(format!("repeated attribute in <{tag}>"));
        }
        if let Some(id) = get("id")
            && !self.ids.insert(id.clone())
        {
            return Err(format!("id {id} twice"));
        }
        self.referred
            .extend(["aria-labelledby", "aria-describedby", "popovertarget"].iter().filter_map(|n| get(n)));
        match name {
            "h1" => self.headings += 1,
            "label" => {
                if let Some(target) = get("for") {
                    self.labelled.insert(target.clone());
                    self.referred.push(target);
                }
            }
            "input" | "select" | "textarea" => {
                let hidden = get("type").as_deref() == Some("hidden");
                let wrapped = self.open.iter().any(|e| e == "label");
                if !hidden && !wrapped && get("aria-label").is_none() {
                    self.controls.push((tag.to_owned(), get("id")));
                }
            }
            _ => {}
        }
        if !VOID.contains(&name) && !tag.ends_with('/') {
            self.open.push(name.to_owned());
        }
        Ok(())
    }
    fn end(&mut self, name: &str) -> Result<(), String> {
        match self.open.pop() {
            Some(open) if open == name => Ok(()),
            other => Err(format!("</{name}> closes {other:?}")),
        }
    }
}

/// Checks one page.
pub(super) fn check(html: &str) -> Result<(), String> {
    let mut seen = Seen::default();
    let mut rest = html.strip_prefix("<!doctype html>").ok_or("no doctype")?;
    while let Some(start) = rest.find('<') {
        // What a guest's name may be made of is told as it is written.
        let text = rest[..start].replace("{{vm.name}}", "").replace("{{random}}", "");
        if text.contains("{{") || text.contains("{%") {
            return Err("template syntax in the output".into());
        }
        rest = &rest[start + 1..];
        let end = rest.find('>').ok_or("unclosed tag")?;
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        match tag.strip_prefix('/') {
            Some(name) => seen.end(name.trim())?,
            None => {
                let name = tag.split([' ', '\n', '/']).next().unwrap_or_default();
                seen.begin(name, tag)?;
            }
        }
    }
    if !seen.open.is_empty() {
        return Err(format!("left open: {:?}", seen.open));
    }
    if seen.headings != 1 {
        return Err(format!("{} h1", seen.headings));
    }
    for (tag, id) in &seen.controls {
        if !id.as_ref().is_some_and(|id| seen.labelled.contains(id)) {
            return Err(format!("no label for <{tag}>"));
        }
    }
    match seen.referred.iter().find(|id| !seen.ids.contains(*id)) {
        Some(id) => Err(format!("nothing has the id {id}")),
        None => Ok(()),
    }
}
