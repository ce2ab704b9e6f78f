//! The router that demands an access rule for every route.

use crate::form::{self, is_form, is_multipart};
use crate::identity::{Identity, Unasked, guest, identify, log_in_first};
use crate::origin::same_origin;
use crate::{Csrf, Refuse};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::MethodRouter;
use hostd_core::{Caller, Core};
use hostd_types::{Problem, ProblemKind};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::UtoipaMethodRouter;

/// Who may use a route. There is no default: a route can't be added without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody; the text says why that is safe. (Login page, assets, health.)
    Public(&'static str),
    /// Any logged-in user, token, or root on the Unix socket.
    Signed,
    /// Root on the Unix socket only.
    Console,
    /// Whoever opened a link to a machine's consoles, and nobody else: a login does not count.
    Link,
}

/// One registered route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its path, with `{parameters}`.
    pub path: String,
    /// Who may use it.
    pub access: Access,
    /// Its handler reads multipart forms and checks their `csrf` part itself.
    pub multipart: bool,
}

/// A router that demands an access rule for every route; the axum router inside is not reachable until `finish`.
///
/// ```no_run
/// # use hostd_edge::*; use axum::routing::get;
/// # fn show(core: hostd_core::Core, refuse: Refuse) {
/// let routes = Routes::new(core, refuse).add("/help", Access::Signed, get(async || "help"));
/// # }
/// ```
/// Without a rule it does not compile:
/// ```compile_fail
/// # use hostd_edge::*; use axum::routing::get;
/// # fn show(core: hostd_core::Core, refuse: Refuse) {
/// let routes = Routes::new(core, refuse).add("/help", get(async || "help"));
/// # }
/// ```
/// And nothing but the finished router can be served:
/// ```compile_fail
/// # use hostd_edge::*; use axum::routing::get;
/// # fn show(core: hostd_core::Core, refuse: Refuse) {
/// let routes = Routes::new(core, refuse).route("/help", get(async || "help"));
/// # }
/// ```
///
/// `Routes<()>` is a plan: it can be listed and documented, and becomes a router when it is given a [`Core`].
pub struct Routes<C = Core> {
    core: C,
    refuse: Refuse,
    forms: bool,
    routes: Vec<(Registered, MethodRouter<Core>)>,
    document: OpenApi,
}

impl Routes<Core> {
    /// An empty router of pages: forms may carry the anti-forgery token in their field `csrf`.
    pub fn new(core: Core, refuse: Refuse) -> Self {
        Routes::pages(refuse).with(core)
    }

    /// The axum router, every route behind its door.
    pub fn finish(self) -> Router {
        let mut router = Router::new();
        for (route, methods) in self.routes {
            let door = Door {
                core: self.core.clone(),
                refuse: self.refuse,
                forms: self.forms,
                access: route.access,
                multipart: route.multipart,
            };
            router = router.route(&route.path, methods.layer(from_fn_with_state(door, pass)));
        }
        router.with_state(self.core)
    }
}

impl Routes<()> {
    /// A plan of pages: forms may carry the anti-forgery token in their field `csrf`.
    pub fn pages(refuse: Refuse) -> Self {
        Self { core: (), refuse, forms: true, routes: Vec::new(), document: OpenApi::default() }
    }

    /// A plan of an API: a cookie-authenticated unsafe request needs the header `X-CSRF-Token`.
    pub fn api(refuse: Refuse, document: OpenApi) -> Self {
        Self { forms: false, document, ..Self::pages(refuse) }
    }

    /// The plan with the core its routes will work on.
    pub fn with(self, core: Core) -> Routes<Core> {
        let Self { core: (), refuse, forms, routes, document } = self;
        Routes { core, refuse, forms, routes, document }
    }
}

impl<C> Routes<C> {
    /// Registers the handlers of `path` behind `access`.
    pub fn add(mut self, path: &str, access: Access, methods: MethodRouter<Core>) -> Self {
        self.routes.push((Registered { path: path.to_owned(), access, multipart: false }, methods));
        self
    }

    /// The same for a page that takes multipart forms: a form without the header `X-CSRF-Token` reaches its handler, which
    /// must ask [`Csrf::matches`] before it acts.
    pub fn add_multipart(mut self, path: &str, access: Access, methods: MethodRouter<Core>) -> Self {
        self.routes.push((Registered { path: path.to_owned(), access, multipart: self.forms }, methods));
        self
    }

    /// Registers documented handlers (`routes!(…)`), which all share one path, and adds them to the API document.
    pub fn document(mut self, access: Access, documented: UtoipaMethodRouter<Core>) -> Self {
        let (schemas, paths, methods) = documented;
        let keys: Vec<String> = paths.paths.keys().cloned().collect();
        for (path, item) in paths.paths {
            match self.document.paths.paths.get_mut(&path) {
                Some(there) => there.merge_operations(item),
                None => {
                    self.document.paths.paths.insert(path, item);
                }
            }
        }
        self.document.components.get_or_insert_with(Default::default).schemas.extend(schemas);
        for path in keys {
            self = self.add(&path, access, methods.clone());
        }
        self
    }

    /// What is registered so far.
    pub fn registered(&self) -> impl Iterator<Item = &Registered> {
        self.routes.iter().map(|(route, _)| route)
    }

    /// The API document of the documented routes so far.
    pub fn openapi(&self) -> &OpenApi {
        &self.document
    }
}

#[derive(Clone)]
struct Door {
    core: Core,
    refuse: Refuse,
    forms: bool,
    access: Access,
    multipart: bool,
}

/// Lets a request through to its handler, or answers in the handler's place.
async fn pass(State(door): State<Door>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = match door.check(&mut parts, body).await {
        Ok(body) => body,
        Err(problem) => return (door.refuse)(&parts, problem),
    };
    let kept = parts.clone();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return door.method_not_allowed(&kept, response);
    }
    if !matches!(door.access, Access::Public(_)) {
        // What a logged-in person sees must not stay in a shared browser's cache.
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

impl Door {
    /// Everything that must hold before the handler runs; answers the body, which a form's check had to read.
    async fn check(&self, parts: &mut Parts, body: Body) -> Result<Body, Problem> {
        let identity = match self.access {
            Access::Public(_) => {
                parts.extensions.insert(Unasked { core: self.core.clone(), refuse: self.refuse });
                None
            }
            Access::Link => {
                let guest = guest(&self.core, &parts.headers).await?;
                parts.extensions.insert(guest);
                None
            }
            Access::Signed | Access::Console => {
                let identity = identify(&self.core, parts).await?.ok_or_else(log_in_first)?;
                if self.access == Access::Console && !matches!(identity.ctx.caller, Caller::Console) {
                    return Err(Problem::new(
                        ProblemKind::Forbidden,
                        "This works only on the host's own console, as root.",
                    ));
                }
                Some(identity)
            }
        };
        if parts.method.is_safe() {
            self.keep(parts, identity);
            return Ok(body);
        }
        let ambient = identity.as_ref().is_some_and(|i| i.csrf.is_some());
        match same_origin(parts) {
            Some(true) => {}
            None if !ambient => {}
            Some(false) | None => return Err(forged("It was not sent by a page of this site.")),
        }
        let header = parts.headers.get("x-csrf-token").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (given, body, request) = if self.forms && is_form(&parts.headers) {
            let (hidden, body) = form::read(parts, body, self.refuse).await?;
            (header.or(Some(hidden.csrf)), body, hidden.request)
        } else {
            (header, body, None)
        };
        let mut identity = identity;
        if let Some(identity) = &mut identity {
            self.check_token(identity, parts, given.as_deref())?;
            identity.ctx.request = request.or(identity.ctx.request);
        }
        self.keep(parts, identity);
        Ok(body)
    }

    fn check_token(&self, identity: &Identity, parts: &Parts, given: Option<&str>) -> Result<(), Problem> {
        let Some(token) = &identity.csrf else { return Ok(()) };
        match given {
            Some(given) if Csrf(token.clone()).matches(given) => Ok(()),
            None if self.multipart && is_multipart(&parts.headers) => Ok(()),
            Some(_) | None => {
                Err(forged("Its anti-forgery token is missing or belongs to an earlier session."))
            }
        }
    }

    fn keep(&self, parts: &mut Parts, identity: Option<Identity>) {
        if let Some(identity) = identity {
            parts.extensions.insert(identity);
        }
    }

    /// axum's empty 405, in the shape of our refusals.
    fn method_not_allowed(&self, parts: &Parts, bare: Response) -> Response {
        let detail = format!("{} is not possible on {}.", parts.method, parts.uri.path());
        let mut response = (self.refuse)(parts, Problem::new(ProblemKind::BadRequest, detail));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        if let Some(allow) = bare.headers().get(header::ALLOW) {
            response.headers_mut().insert(header::ALLOW, allow.clone());
        }
        response
    }
}

fn forged(why: &str) -> Problem {
    let detail = format!("The request was refused. {why} Reload the page and try again.");
    Problem::new(ProblemKind::Forbidden, detail)
}
