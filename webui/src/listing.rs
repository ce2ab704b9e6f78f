//! A list's address: filter, order and page, from the query and into links.

use crate::error::query_value;
use hostd_types::{ListParams, PAGE_DEFAULT, Page};
use serde::Deserialize;

/// The query of a list page; anything that makes no sense counts as absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Listing {
    /// Text the name contains.
    pub(crate) q: String,
    /// State to show.
    pub(crate) state: String,
    /// Host to show.
    pub(crate) host: String,
    /// Column to order by.
    pub(crate) sort: String,
    /// `true`: descending.
    pub(crate) desc: String,
    /// Where the previous page ended.
    pub(crate) cursor: String,
    /// Rows a page.
    pub(crate) limit: String,
    /// Only what concerns this resource (events).
    pub(crate) subject: String,
}

impl Listing {
    /// As the product's queries take it.
    pub(crate) fn params(&self) -> ListParams {
        let some = |text: &str| Some(text.trim()).filter(|t| !t.is_empty()).map(str::to_owned);
        ListParams {
            limit: Some(self.limit.parse().unwrap_or(PAGE_DEFAULT)),
            cursor: some(&self.cursor),
            q: some(&self.q),
            state: some(&self.state),
            host: self.host.parse().ok(),
            sort: some(&self.sort),
            desc: self.desc == "true",
        }
    }
    /// Something narrows the list down.
    pub(crate) fn is_filtered(&self) -> bool {
        ![self.q.trim(), &self.state, &self.host, &self.subject].iter().all(|text| text.is_empty())
    }
    /// The link to `path` with these values and `cursor`.
    fn link(&self, path: &str, cursor: &str) -> String {
        let pairs = [
            ("q", self.q.as_str()),
            ("state", &self.state),
            ("host", &self.host),
            ("sort", &self.sort),
            ("desc", &self.desc),
            ("limit", &self.limit),
            ("subject", &self.subject),
            ("cursor", cursor),
        ];
        let said: Vec<_> = pairs
            .iter()
            .filter(|(_, v)| !v.is_empty())
            .map(|(k, v)| format!("{k}={}", query_value(v)))
            .collect();
        if said.is_empty() { path.to_owned() } else { format!("{path}?{}", said.join("&")) }
    }
    /// The same list in `state`.
    pub(crate) fn in_state(&self, path: &str, state: &str) -> String {
        Self { state: state.into(), ..self.clone() }.link(path, "")
    }
    /// The same list of what is on `host`.
    pub(crate) fn on_host(&self, path: &str, host: &str) -> String {
        Self { host: host.into(), ..self.clone() }.link(path, "")
    }
    /// The same list ordered by `column`; the other way round when it is already.
    pub(crate) fn sorted(&self, path: &str, column: &str) -> String {
        let turn = self.sort == column && self.desc != "true";
        let desc = if turn { "true" } else { "" };
        Self { sort: column.into(), desc: desc.into(), ..self.clone() }.link(path, "")
    }
    /// `aria-sort` of `column`.
    pub(crate) fn order(&self, column: &str) -> &'static str {
        match (self.sort == column, self.desc == "true") {
            (false, _) => "none",
            (true, false) => "ascending",
            (true, true) => "descending",
        }
    }
    /// The foot of a page of this list.
    pub(crate) fn pager<T>(&self, path: &str, page: &Page<T>, one: &str) -> Pager {
        let shown = page.items.len() as u64;
        let total = crate::units::count(&page.total, one);
        Pager {
            said: if shown == page.total { total } else { format!("{shown} of {total}") },
            first: (!self.cursor.is_empty()).then(|| self.link(path, "")),
            next: page.next.as_ref().map(|next| self.link(path, next)),
        }
    }
}

/// The foot of a list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pager {
    /// How many there are.
    pub(crate) said: String,
    /// Link to the first page, on others.
    pub(crate) first: Option<String>,
    /// Link to the next page, if there is one.
    pub(crate) next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_keep_the_filter_and_escape_it() {
        let listing =
            Listing { q: "a&b=\"<".into(), state: "off".into(), sort: "name".into(), ..Default::default() };
        assert_eq!(listing.in_state("/vms", ""), "/vms?q=a%26b%3D%22%3C&sort=name");
        assert_eq!(listing.on_host("/vms", "7"), "/vms?q=a%26b%3D%22%3C&state=off&host=7&sort=name");
        assert_eq!(listing.sorted("/vms", "name"), "/vms?q=a%26b%3D%22%3C&state=off&sort=name&desc=true");
        let page = Page { items: vec![1, 2], total: 5, next: Some("x y".into()) };
        let pager = listing.pager("/vms", &page, "machine");
        assert_eq!(pager.said, "2 of 5 machines");
        assert!(pager.next.expect("a next page").ends_with("cursor=x%20y"));
        assert!(pager.first.is_none());
    }

    #[test]
    fn an_empty_filter_is_no_filter() {
        let listing = Listing { q: "  ".into(), limit: "many".into(), ..Default::default() };
        assert!(!listing.is_filtered());
        assert_eq!(listing.params().q, None);
        assert_eq!(listing.params().limit(), PAGE_DEFAULT);
    }
}
