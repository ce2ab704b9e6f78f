//! A list's address: filter, order and page, from the query and into links.

use crate::error::{PageError, query_value};
use crate::visit::{OrPage, Visit};
use hostd_types::{ListName, ListParams, PAGE_DEFAULT, Page, SavedView, Tag};
use serde::Deserialize;

/// The query of a list page; anything that makes no sense counts as absent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Vec<(String, String)>")]
pub(crate) struct Listing {
    /// Text the name contains.
    pub(crate) q: String,
    /// State to show.
    pub(crate) state: String,
    /// Host to show.
    pub(crate) host: String,
    /// Tags to show, separated by commas.
    pub(crate) tag: String,
    /// Folder to show; `top` for machines in none.
    pub(crate) folder: String,
    /// `true`: with the folders below.
    pub(crate) below: String,
    /// `true`: templates; anything else: machines that are none.
    pub(crate) template: String,
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
    /// The list, when views of it can be saved.
    pub(crate) list: Option<ListName>,
    /// What the reader saved of this list.
    pub(crate) views: Vec<SavedView>,
}

impl From<Vec<(String, String)>> for Listing {
    fn from(pairs: Vec<(String, String)>) -> Self {
        let mut listing = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "q" => listing.q = value,
                "state" => listing.state = value,
                "host" => listing.host = value,
                "tag" if listing.tag.is_empty() => listing.tag = value,
                "tag" => listing.tag = format!("{},{value}", listing.tag),
                "folder" => listing.folder = value,
                "below" => listing.below = value,
                "template" => listing.template = value,
                "sort" => listing.sort = value,
                "desc" => listing.desc = value,
                "cursor" => listing.cursor = value,
                "limit" => listing.limit = value,
                "subject" => listing.subject = value,
                _ => {}
            }
        }
        listing
    }
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
            tag: some(&self.tag),
            folder: self.folder.parse().ok(),
            below: self.below == "true",
            template: Some(self.template == "true"),
            sort: some(&self.sort),
            desc: self.desc == "true",
        }
    }
    /// Something narrows the list down.
    pub(crate) fn is_filtered(&self) -> bool {
        if self.template == "true" {
            return true;
        }
        let narrow = [self.q.trim(), &self.state, &self.host, self.tag.trim(), &self.folder, &self.subject];
        !narrow.iter().all(|text| text.is_empty())
    }
    /// The link to `path` with these values and `cursor`.
    fn link(&self, path: &str, cursor: &str) -> String {
        let pairs = [
            ("q", self.q.as_str()),
            ("state", &self.state),
            ("host", &self.host),
            ("tag", &self.tag),
            ("folder", &self.folder),
            ("below", &self.below),
            ("template", &self.template),
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
    /// The same list with what the reader saved of `list`.
    pub(crate) async fn with_views(self, visit: &Visit, list: ListName) -> Result<Self, PageError> {
        let mut views = visit.core.views(&visit.ctx).await.or_page(visit)?;
        views.retain(|view| view.list == list);
        Ok(Self { list: Some(list), views, ..self })
    }
    /// What is listed has tags.
    pub(crate) fn has_tags(&self) -> bool {
        !matches!(self.list, Some(ListName::Tasks | ListName::Events))
    }
    /// Filter and order, as they are saved.
    pub(crate) fn query(&self) -> String {
        Self { limit: String::new(), ..self.clone() }.link("", "").trim_start_matches('?').to_owned()
    }
    /// The view is what is shown.
    pub(crate) fn shows(&self, view: &SavedView) -> bool {
        self.query() == view.query
    }
    /// The fields that a search keeps: names and values.
    pub(crate) fn kept(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("state", self.state.as_str()),
            ("host", &self.host),
            ("folder", &self.folder),
            ("below", &self.below),
            ("template", &self.template),
            ("sort", &self.sort),
            ("desc", &self.desc),
            ("limit", &self.limit),
            ("subject", &self.subject),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
    /// The same list of what has this tag.
    pub(crate) fn tagged(&self, path: &str, key: &str, value: &str) -> String {
        Self { tag: Tag(key, value).to_string(), ..self.clone() }.link(path, "")
    }
    /// The same list of what is in `folder`, with what is below when `below` is `true`.
    pub(crate) fn in_folder(&self, path: &str, folder: &str, below: &str) -> String {
        Self { folder: folder.into(), below: below.into(), ..self.clone() }.link(path, "")
    }
    /// The same list in `state`.
    pub(crate) fn in_state(&self, path: &str, state: &str) -> String {
        Self { state: state.into(), ..self.clone() }.link(path, "")
    }
    /// Templates in the place of machines, or the other way round; without what only the others have.
    pub(crate) fn of_templates(&self, path: &str, template: &str) -> String {
        let (template, state) = (template.into(), String::new());
        Self { template, state, folder: String::new(), below: String::new(), ..self.clone() }.link(path, "")
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
    fn any_address_is_read_and_what_makes_no_sense_left_out() {
        let read = |query: &str| {
            let uri = format!("/vms?{query}").parse().expect("an address");
            axum::extract::Query::<Listing>::try_from_uri(&uri).expect("any query").0
        };
        let listing = read("tag=env%3Dprod&tag=web&q=a&q=b&odd=1&folder=nowhere&below=true");
        assert_eq!((listing.tag.as_str(), listing.q.as_str()), ("env=prod,web", "b"));
        assert!(listing.is_filtered() && listing.params().below && listing.params().folder.is_none());
        assert_eq!(read(&listing.query()).query(), listing.query());
        assert_eq!(
            listing.tagged("/vms", "owner", "Ann"),
            "/vms?q=b&tag=owner%3DAnn&folder=nowhere&below=true"
        );
    }

    #[test]
    fn an_empty_filter_is_no_filter() {
        let listing = Listing { q: "  ".into(), limit: "many".into(), ..Default::default() };
        assert!(!listing.is_filtered());
        assert_eq!(listing.params().q, None);
        assert_eq!(listing.params().limit(), PAGE_DEFAULT);
    }
}
