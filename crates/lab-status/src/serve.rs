//! The dashboard: the picture, every state, what it costs and what has changed, in a browser on this machine.
//!
//! Only loopback is listened on. A page of another site in the same browser is kept out three times: it does not know the
//! token in the address, a host name of its own is refused (DNS rebinding), and nothing here changes anything.

mod events;
mod page;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use lab_common::{LabArgs, Session};
use lab_picture::{View, arrange, to_svg};
use lab_plan::{Exit, Problem, Stop, print_out};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::clients::Clients;
use crate::picture::{self, Look};
use crate::scope::Scope;
use events::find_events;
use page::{Event, State};

/// What `serve` takes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServeArgs {
    /// The port on loopback [default: any that is free]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Look again every so many seconds, as long as somebody watches
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=3600))]
    every: u64,
}

/// A browser that has not asked for so long, and not for two of its intervals, has been closed: nothing is looked at for
/// nobody.
const WATCHED: Duration = Duration::from_mins(1);
/// How many events are kept.
const EVENTS: usize = 50;
/// More connections than any browser opens.
const CONNECTIONS: usize = 32;
/// A connection that says nothing is ended.
const PATIENCE: Duration = Duration::from_secs(30);
/// A browser sends its request with the connection; whoever only holds one must not keep others out.
const HASTE: Duration = Duration::from_secs(3);
/// Between two tries to take a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until someone asks to stop.
///
/// # Errors
/// When the port is taken, the lab file is wrong, or the credentials are not accepted.
pub(crate) async fn run(args: &LabArgs, options: &ServeArgs, stop: &Stop) -> Result<Exit, Problem> {
    let (session, inquiry) = stop.or(Session::open(args)).await?.inquiring();
    let (clients, scope) = (Clients::new(&session.access()), Scope::of(args, &session));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).await;
    let listener = listener.map_err(|error| {
        Problem::failed(format!("port {} of 127.0.0.1 cannot be had", options.port))
            .because(error.to_string())
            .fix("leave --port out, or name another one")
    })?;
    let address = listener.local_addr().map_err(|error| Problem::failed(error.to_string()))?;
    let dashboard = Rc::new(Dashboard::new(address, options.every));
    let url = dashboard.url();
    if args.json {
        print_out(&format!("{}\n", json!({"url": url})))?;
    } else {
        print_out(&format!("{url}\nOnly this machine can open it, and only with this address. Ctrl-C ends.\n"))?;
    }
    let looks = keep_looking(&dashboard, async || {
        inquiry.begin();
        let look = picture::look(&session, &clients, &scope).await?;
        dashboard.state.borrow_mut().take(&session, &look);
        Ok(())
    });
    tokio::select! {
        biased;
        exit = stop.wait() => Ok(exit),
        problem = looks => Err(problem),
        () = accept(&listener, &dashboard) => Ok(Exit::Done),
    }
}

/// What is served.
struct Dashboard {
    address: SocketAddr,
    token: String,
    every: u64,
    state: RefCell<State>,
    asked: Cell<Option<Instant>>,
    /// Somebody has asked after a while in which nobody had.
    wanted: Notify,
    /// The page has been asked for.
    shown: Notify,
}

impl Dashboard {
    fn new(address: SocketAddr, every: u64) -> Self {
        // Two of these have 244 random bits from the operating system.
        let token = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(|half| half.simple().to_string()).concat();
        Self {
            address,
            token,
            every,
            state: RefCell::default(),
            asked: Cell::default(),
            wanted: Notify::new(),
            shown: Notify::new(),
        }
    }

    fn url(&self) -> String {
        format!("http://{}/{}/", self.address, self.token)
    }

    fn is_watched(&self) -> bool {
        let patience = WATCHED.max(2 * Duration::from_secs(self.every));
        self.asked.get().is_some_and(|asked| asked.elapsed() < patience)
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        if !self.is_own_host(host) || !self.has_token(request.uri().path()) {
            return respond(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "not found\n".to_owned());
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return respond(StatusCode::METHOD_NOT_ALLOWED, "text/plain; charset=utf-8", "only GET\n".to_owned());
        }
        let Some(rest) = request.uri().path().split('/').nth(2) else {
            // Without the last slash, what the page asks for would be looked for elsewhere.
            let mut response = respond(StatusCode::PERMANENT_REDIRECT, "text/plain; charset=utf-8", String::new());
            let place =
                HeaderValue::from_str(&format!("/{}/", self.token)).expect("a token has only letters and digits");
            response.headers_mut().insert(header::LOCATION, place);
            return response;
        };
        let state = self.state.borrow();
        let (kind, body) = match rest {
            "" => ("text/html; charset=utf-8", page::to_html(&state, self.every, Timestamp::now())),
            "lab.svg" => ("image/svg+xml", state.svg.clone()),
            page::SCRIPT_PATH => ("text/javascript; charset=utf-8", page::SCRIPT.to_owned()),
            _ => return respond(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "not found\n".to_owned()),
        };
        if !self.is_watched() {
            self.wanted.notify_one();
        }
        if rest.is_empty() {
            self.shown.notify_waiters();
        }
        self.asked.set(Some(Instant::now()));
        respond(StatusCode::OK, kind, body)
    }

    /// Shows whoever watches why it ends.
    async fn tell_end(&self, problem: &Problem) {
        self.state.borrow_mut().failure =
            Some(format!("{problem}\nlab-status serve has ended: start it again after that"));
        if self.is_watched() {
            let interval = Duration::from_secs(self.every.min(PATIENCE.as_secs()));
            let _ = timeout(interval + PAUSE, self.shown.notified()).await;
            // The answer itself goes out after that.
            sleep(PAUSE).await;
        }
    }

    /// The name by which a browser got here; a name that somebody's DNS points at 127.0.0.1 is none of ours.
    fn is_own_host(&self, host: Option<&str>) -> bool {
        let port = self.address.port();
        host.is_some_and(|host| host == format!("127.0.0.1:{port}") || host == format!("localhost:{port}"))
    }

    /// Whether the first part of a path is the token, compared in the same time wherever it differs.
    fn has_token(&self, path: &str) -> bool {
        let given = path.split('/').nth(1).unwrap_or_default().as_bytes();
        let own = self.token.as_bytes();
        given.len() == own.len() && given.iter().zip(own).fold(0, |differs, (one, other)| differs | (one ^ other)) == 0
    }
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Takes connections and answers them, all on this thread.
async fn accept(listener: &TcpListener, dashboard: &Rc<Dashboard>) {
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => {
                match accepted {
                    Ok((stream, _)) => connections.push(serve(stream, Rc::clone(dashboard))),
                    // Nothing is left to take it with, file descriptors mostly: it would be refused again at once.
                    Err(_) => sleep(PAUSE).await,
                }
            }
            Some(()) = connections.next(), if !connections.is_empty() => {}
        }
    }
}

async fn serve(stream: TcpStream, dashboard: Rc<Dashboard>) {
    let service = service_fn(|request| {
        let response = dashboard.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HASTE).keep_alive(false);
    // A browser that goes away in the middle is nobody's problem.
    let _ = timeout(PATIENCE, http.serve_connection(TokioIo::new(stream), service)).await;
}

/// Looks as long as somebody watches; ends only with credentials that are not accepted.
async fn keep_looking(dashboard: &Dashboard, mut look: impl AsyncFnMut() -> Result<(), Problem>) -> Problem {
    loop {
        match look().await {
            Ok(()) => {}
            Err(problem) if problem.exit() != Exit::Failed || problem.is_about_credentials() => {
                dashboard.tell_end(&problem).await;
                return problem;
            }
            Err(problem) => dashboard.state.borrow_mut().failure = Some(problem.to_string()),
        }
        sleep(Duration::from_secs(dashboard.every)).await;
        if !dashboard.is_watched() {
            dashboard.wanted.notified().await;
        }
    }
}

impl State {
    /// Takes over what was seen, and notes what has changed.
    fn take(&mut self, session: &Session, look: &Look) {
        let resources: Vec<_> = look.found.resources.iter().chain(&look.found.others).cloned().collect();
        let is_whole = look.found.unread.is_empty();
        let time = look.now.strftime("%H:%M:%S").to_string();
        let events = if self.looked_at.is_some() {
            find_events(&self.resources, &resources, self.is_whole && is_whole)
        } else {
            vec!["the first look".to_owned()]
        };
        self.events.extend(events.into_iter().map(|what| Event { time: time.clone(), what }));
        let surplus = self.events.len().saturating_sub(EVENTS);
        self.events.drain(..surplus);
        self.title = format!("Lab “{}” of {} in {}", session.lab.name, session.lab.owner, session.region);
        let drawing = arrange(&look.to_scene(session, View::Live));
        (self.svg, self.size) = (to_svg(&drawing), (drawing.width, drawing.height));
        self.resources = resources;
        self.total = self.total.grow_to(look.found.total);
        self.is_whole = is_whole;
        self.notes = look.list_notes();
        self.looked_at = Some(Timestamp::now());
        self.failure = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dashboard() -> Dashboard {
        Dashboard::new(([127, 0, 0, 1], 4711).into(), 10)
    }

    #[test]
    fn only_its_own_address_with_its_token_is_answered() {
        let dashboard = dashboard();
        assert!(dashboard.is_own_host(Some("127.0.0.1:4711")) && dashboard.is_own_host(Some("localhost:4711")));
        for host in [None, Some("evil.example:4711"), Some("127.0.0.1"), Some("127.0.0.1:80"), Some("")] {
            assert!(!dashboard.is_own_host(host), "{host:?}");
        }
        let token = dashboard.token.clone();
        assert!(dashboard.has_token(&format!("/{token}/")) && dashboard.has_token(&format!("/{token}/lab.svg")));
        for path in ["/", "//", "", &format!("/{}/", &token[1..]), &format!("/{token}x/"), &format!("/x/{token}/")] {
            assert!(!dashboard.has_token(path), "{path}");
        }
        assert_eq!(token.len(), 64);
        assert_ne!(token, Dashboard::new(([127, 0, 0, 1], 4711).into(), 10).token);
    }
}
