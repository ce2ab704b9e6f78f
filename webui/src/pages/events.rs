//! The audit trail.

use super::Answer;
use crate::filters;
use crate::listing::{Listing, Pager};
use crate::page::{answer, page};
use crate::place::EventHosts;
use crate::visit::{Layout, OrPage, Section, Theme, Visit};
use askama::Template;
use axum::extract::Query;
use hostd_types::Event;

/// The page.
#[derive(Template)]
#[template(path = "events.html")]
pub(crate) struct EventsPage {
    pub(crate) layout: Layout,
    pub(crate) events: Vec<Event>,
    pub(crate) hosts: EventHosts,
    pub(crate) listing: Listing,
    pub(crate) pager: Pager,
}
page!(EventsPage);

/// `GET /events`
pub(crate) async fn show(visit: Visit, Query(listing): Query<Listing>) -> Answer {
    let listing = listing.with_views(&visit, hostd_types::ListName::Events).await?;
    let subject = Some(listing.subject.as_str()).filter(|s| !s.is_empty());
    let page = visit.core.events(&listing.params(), subject).await.or_page(&visit)?;
    let mut layout = visit.layout("events", Section::Events, "Events");
    if listing.cursor.is_empty() {
        layout = layout.watching("event vm task image volume network token session user");
    }
    let pager = listing.pager("/events", &page, "event");
    let hosts = EventHosts::load(&visit, &page.items).await;
    Ok(answer(&EventsPage { layout, hosts, events: page.items, listing, pager }))
}
