//! One page view: who asks, and what every page shows around its own content.

use crate::error::PageError;
use crate::flash::Flash;
use crate::place::Places;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;
use axum_extra::extract::CookieJar;
use hostd_core::{Caller, ClusterView, Core, Ctx, Notice};
use hostd_edge::{Csrf, RequestTag, Who};
use hostd_types::{Problem, RequestId};
use std::str::FromStr;

/// Light, dark, or as the operating system says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the operating system says.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// Its name in the cookie and in `data-theme`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
    /// By its name; anything else is `Auto`.
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "light" => Theme::Light,
            "dark" => Theme::Dark,
            _ => Theme::Auto,
        }
    }
}

/// The entry of the navigation a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// No entry (login, errors).
    None,
    /// `/`
    Overview,
    /// `/vms`
    Vms,
    /// `/images`
    Images,
    /// `/volumes`
    Volumes,
    /// `/networks`
    Networks,
    /// `/cluster`
    Cluster,
    /// `/host`
    Host,
    /// `/tasks`
    Tasks,
    /// `/events`
    Events,
    /// `/tokens`
    Tokens,
    /// `/help`
    Help,
    /// `/account`
    Account,
}

/// What surrounds any page: theme, user, notices.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame {
    /// Login name; nobody on the login page and on errors before it.
    pub(crate) user: Option<String>,
    /// The session's anti-forgery token.
    pub(crate) csrf: String,
    /// Colours.
    pub(crate) theme: Theme,
    /// Conditions to show on top.
    pub(crate) notices: Vec<Notice>,
    /// The hosts of the cluster.
    pub(crate) places: Places,
    /// The result of what was done just before.
    pub(crate) flash: Option<Flash>,
    /// This page's own path and query.
    pub(crate) path: String,
    /// Version of Quantix.
    pub(crate) version: String,
    /// The request's number in the host's log, for error reports.
    pub(crate) request: Option<String>,
}

impl Frame {
    /// What is known before anybody proved who they are.
    pub(crate) fn anonymous(parts: &Parts) -> Self {
        let jar = CookieJar::from_headers(&parts.headers);
        let theme = jar.get("theme").map(|c| Theme::named(c.value())).unwrap_or_default();
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let flash = jar.get(Flash::COOKIE).and_then(|c| Flash::decode(c.value()));
        let request = parts.extensions.get::<RequestTag>().map(|tag| tag.0.clone());
        Self { theme, path, flash, request, ..Self::default() }
    }
    /// The layout of one page.
    pub(crate) fn layout(&self, page: &'static str, section: Section, title: impl Into<String>) -> Layout {
        Layout { frame: self.clone(), page, section, title: title.into(), watch: String::new() }
    }
}

/// What a template needs of its surroundings.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Theme, user, notices.
    pub(crate) frame: Frame,
    /// The page's name, in `data-page`.
    pub(crate) page: &'static str,
    /// Entry of the navigation to mark.
    pub(crate) section: Section,
    /// Title of the tab.
    pub(crate) title: String,
    /// Changes that refresh the page: kinds or `kind:id`, separated by blanks.
    pub(crate) watch: String,
}

impl Layout {
    /// The same page, refreshed by scripts on these changes.
    pub(crate) fn watching(mut self, changes: impl Into<String>) -> Self {
        self.watch = changes.into();
        self
    }
    /// The hosts of the cluster.
    pub(crate) fn places(&self) -> &Places {
        &self.frame.places
    }
    /// Address of an asset.
    pub(crate) fn asset(&self, name: &str) -> String {
        crate::assets::url(name)
    }
    /// Attribute value of a navigation entry: `page` on the current one.
    pub(crate) fn current(&self, section: Section) -> &'static str {
        if self.section == section { "page" } else { "false" }
    }
    /// A fresh id for a form: sent twice, it acts once.
    pub(crate) fn request_id(&self) -> RequestId {
        RequestId::new()
    }
}

/// A proved caller's view of one page.
#[derive(Clone)]
pub(crate) struct Visit {
    /// The product.
    pub(crate) core: Core,
    /// Who asks.
    pub(crate) ctx: Ctx,
    /// What surrounds the page.
    pub(crate) frame: Frame,
    /// The cluster as it was when the page was asked for.
    view: Result<ClusterView, Problem>,
}

impl Visit {
    /// The cluster as it was when the page was asked for, or the error page.
    pub(crate) fn cluster(&self) -> Result<&ClusterView, PageError> {
        self.view.as_ref().map_err(|problem| self.failed(problem.clone()))
    }
    /// The layout of one page.
    pub(crate) fn layout(&self, page: &'static str, section: Section, title: impl Into<String>) -> Layout {
        self.frame.layout(page, section, title)
    }
    /// The identifier in a path; text that is none names nothing that exists.
    pub(crate) fn id<T: FromStr>(&self, what: &str, text: &str) -> Result<T, PageError> {
        text.parse().map_err(|_| self.failed(Problem::not_found(what, text)))
    }
    /// The error page of `problem` in this frame.
    pub(crate) fn failed(&self, problem: Problem) -> PageError {
        PageError::framed(problem, self.frame.clone())
    }
}

/// Turns a refused query into the error page.
pub(crate) trait OrPage<T> {
    /// The value, or the error page in the frame of `visit`.
    fn or_page(self, visit: &Visit) -> Result<T, PageError>;
}

impl<T> OrPage<T> for Result<T, Problem> {
    fn or_page(self, visit: &Visit) -> Result<T, PageError> {
        self.map_err(|problem| visit.failed(problem))
    }
}

impl FromRequestParts<Core> for Visit {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, core: &Core) -> Result<Self, Response> {
        let Who(ctx) = Who::from_request_parts(parts, core).await?;
        let Ok(Csrf(csrf)) = Csrf::from_request_parts(parts, core).await;
        let user = match &ctx.caller {
            Caller::User { user, .. } => user.name.clone(),
            Caller::Console => "local console".into(),
            Caller::Host => "host".into(),
        };
        let view = core.cluster_view().await;
        let frame = Frame {
            user: Some(user),
            csrf,
            notices: core.notices(&view).await,
            // A state that can't be read is one of the notices; pages then tell of no other host.
            places: view.as_ref().map(Places::of).unwrap_or_default(),
            version: core.settings().version.clone(),
            ..Frame::anonymous(parts)
        };
        Ok(Self { core: core.clone(), ctx, frame, view })
    }
}
