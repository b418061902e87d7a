//! The frame of every page: header, menu, footer, and the language that its reader chose.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::parts::{icon, shape};
use super::problem::refusal_status;
use super::texts::TEXTS;
use super::{session, words};
use crate::app::App;
use crate::disk::DiskState;
use crate::people::{Who, sign_in};
use crate::store::{Role, Stage, StoreError};
use loaxa_heart::domain::time::Wall;
use loaxa_heart::said;
use loaxa_heart::texts::{Lang, Say, Sentence, Texts};

/// Time before the end of a session at which its person is asked to stay, in seconds.
const ASKED_BEFORE_S: u64 = 5 * 60;
/// The cookie that keeps the language.
const LANG_COOKIE: &str = "loaxa-lang";

/// Roles that the header names.
const ROLES_NAMED_MAX: usize = 2;

/// The drawings that [`icon`] uses.
pub const ICONS: &str = include_str!("assets/icons.svg");

/// Pages of the menu, with the roles that see them; none means everybody.
const MENU: [(&str, &str, &[Role]); 11] = [
    ("/", "page.home", &[]),
    ("/soan-tin", "compose.page", &[Role::Writer]),
    ("/duyet-tin", "review.title", &[Role::Approver]),
    ("/tin", "notice.list", &[]),
    ("/tuan", "week.title", &[]),
    ("/noi-truc-tiep", "voice.title", &[Role::Approver, Role::Duty]),
    ("/nhat-ky", "log.title", &[]),
    ("/bao-cao", "report.title", &[]),
    ("/cum-loa", "box_page.title", &[]),
    ("/gop-y-cua-dan", "feedback.of_people", &[]),
    ("/sign", "sign.title", &[Role::Duty, Role::Approver]),
];

/// Pages of the footer, with the roles that see them.
const FOOT: [(&str, &str, &[Role]); 12] = [
    ("/canh-bao", "alarm_page.title", &[]),
    ("/kho-am-thanh", "library.title", &[]),
    ("/tin-soan-san", "message.title", &[Role::Administrator, Role::Duty]),
    ("/truc-ban", "roster.title", &[Role::Administrator, Role::Duty]),
    ("/dien-tap", "exercise.menu", &[Role::Duty]),
    ("/nguoi", "people.title", &[Role::Administrator]),
    ("/cai-dat", "place.title", &[Role::Administrator]),
    ("/cai-dat/noi-nhan", "receiver.title", &[Role::Administrator]),
    ("/cai-dat/luu-giu", "keeping.title", &[Role::Administrator]),
    ("/phan-mem", "rollout.title", &[Role::Technician, Role::Administrator]),
    ("/ai-da-lam-gi", "audit.title", &[Role::Administrator, Role::Reviewer]),
    ("/tai-khoan", "account.title", &[]),
];

/// The kinds of pages that nobody may take for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    Everyday,
    /// Pages for everybody, without sign-in.
    Public,
    /// Real emergencies: solid red, without the menu.
    Actual,
    /// Exercises: striped violet, without the menu.
    Exercise,
}

/// The reader of a page: their language, who they are, and the page that they are on.
#[derive(Clone)]
pub struct Frame {
    pub lang: Lang,
    /// `None` where nobody is signed in.
    pub who: Option<Who>,
    pub path: String,
    pub texts: &'static Texts,
    /// The question behind the path, as it came; empty where there is none.
    query: String,
    /// Notices that wait for this approver.
    waiting: usize,
}

/// Notices that wait for the approver who asks.
#[derive(Debug, Clone, Copy)]
pub struct Waiting(pub usize);

/// The script of pages of which parts are drawn anew when something changes.
pub const LIVE: &str = "/assets/live.js";

/// Cuts a list to what is shown, of which one more was asked for, and tells where there are older ones.
pub fn cut<T>(rows: &mut Vec<T>, shown: usize, lang: Lang) -> Markup {
    let is_cut = rows.len() > shown;
    rows.truncate(shown);
    html! { @if is_cut { p.mute { (said!("page.newest", shown).to(lang)) } } }
}

impl Frame {
    pub fn new(lang: Lang, who: Option<Who>, path: String) -> Self {
        Self { lang, who, path, texts: TEXTS.of(lang), query: String::new(), waiting: 0 }
    }

    /// The frame of somebody who is not signed in, whoever asks.
    pub fn for_everybody(&self) -> Self {
        Self { who: None, waiting: 0, ..self.clone() }
    }

    /// Words of the page in the reader's language.
    pub fn say(&self, key: &'static str) -> &'static str {
        self.texts.say(key)
    }

    /// A sentence in the reader's language.
    pub fn tell(&self, said: &Sentence) -> String {
        said.to(self.lang)
    }

    /// Cuts a list to what is shown, as [`cut`] does.
    pub fn cut<T>(&self, rows: &mut Vec<T>, shown: usize) -> Markup {
        cut(rows, shown, self.lang)
    }

    /// Draws a page: its title, and what stands below the header.
    pub fn draw(&self, app: &App, title: &str, content: Markup) -> Markup {
        self.draw_with(app, title, &[], content)
    }

    /// Draws a page that needs scripts, by their addresses.
    pub fn draw_with(&self, app: &App, title: &str, scripts: &[&str], content: Markup) -> Markup {
        self.draw_in(app, World::Everyday, title, scripts, content)
    }

    /// Draws a page of one of the worlds.
    pub fn draw_in(&self, app: &App, world: World, title: &str, scripts: &[&str], content: Markup) -> Markup {
        let class = match world {
            World::Everyday | World::Public => None,
            World::Actual => Some("actual"),
            World::Exercise => Some("drill"),
        };
        html! {
            (DOCTYPE)
            html lang=(self.lang.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    title { (title) " · " (self.say("page.title")) }
                    link rel="stylesheet" href="/assets/loaxa.css";
                    @if world == World::Public {
                        link rel="alternate" type="application/rss+xml" href="/nghe-lai.xml" title=(self.say("public.again"));
                    } @else {
                        meta name="htmx-config" content=(PreEscaped(r#"{&quot;includeIndicatorStyles&quot;:false}"#));
                        script src="/assets/htmx.js" defer {}
                        script src="/assets/frame.js" type="module" {}
                    }
                    @for script in scripts { script src=(script) type="module" {} }
                    @if self.is_called() {
                        script src=(LIVE) type="module" {}
                        script src="/assets/calls.js" type="module" {}
                    }
                }
                body class=[class] hx-ext="morph" hx-swap="morph:innerHTML" {
                    (PreEscaped(ICONS))
                    a.skip href="#noi-dung" { (self.say("page.skip")) }
                    header.top {
                        @if app.is_for_training() { p.training role="note" { (self.say("training.banner")) " "
                        @if self.is_in() { a href="/tap-huan" { (self.say("training.rules")) } } } }
                        div.wrap.top-in { (self.header(app, world)) }
                        @match world {
                            World::Everyday => @if self.is_in() { (self.menu()) },
                            World::Actual => p.bandline { (self.say(if app.is_for_training() { "training.band" } else { "emergency.band" })) },
                            World::Public => {},
                            World::Exercise => p.bandline { span { (self.say("exercise.band")) } },
                        }
                    }
                    @if self.is_called() { div #goi aria-live="assertive" hx-get="/fragments/goi" hx-trigger="load, calls from:body, every 3s" {} }
                    @if let Some(who) = self.who.as_ref().filter(|_| self.is_in()) { (self.ends_soon(who)) }
                    @if world == World::Everyday { (self.disk(app.disk.state())) }
                    main #noi-dung { div.wrap {
                        @if scripts.contains(&LIVE) { p.note.k-look data-live-lost hidden role="status" { (self.say("page.cut_off")) } }
                        (content)
                    } }
                    footer.foot { div.wrap { @match world {
                        World::Everyday => (self.footer(app)),
                        World::Public => p { (self.tell(&said!("public.foot", commune = app.settings.commune))) },
                        World::Actual => p { (self.say("emergency.help")) },
                        World::Exercise => p { (self.say("exercise.foot")) },
                    } } }
                }
            }
        }
    }

    fn is_in(&self) -> bool {
        self.who.as_ref().is_some_and(|who| who.session.stage != Stage::Password)
    }

    /// Tells whether the reader learns of emergencies that wait for a second officer.
    fn is_called(&self) -> bool {
        self.is_in() && self.sees(&[Role::Duty])
    }

    /// Tells whether the reader is on a page or on one below it.
    fn is_at(&self, address: &str) -> bool {
        self.path
            .strip_prefix(address)
            .is_some_and(|rest| rest.is_empty() || address != "/" && rest.starts_with('/'))
    }

    /// Tells whether the reader has one of the roles; of none, everybody who is signed in has.
    fn sees(&self, roles: &[Role]) -> bool {
        self.who.as_ref().is_some_and(|who| roles.is_empty() || roles.iter().any(|role| who.has(*role)))
    }

    fn header(&self, app: &App, world: World) -> Markup {
        html! {
            a.brand href=(if world == World::Public { "/chuong-trinh" } else { "/" }) { (icon("horn")) span { b { (self.say("page.title")) } (app.settings.commune) } }
            @if matches!(world, World::Actual | World::Exercise) {
                a.leave href="/" { (icon("back")) (self.say("emergency.leave")) }
            } @else if self.is_in() {
                @if self.is_called() { a.sos href="/khan-cap" { (shape("oc")) (self.say("emergency.sos")) } }
                button.menu popovertarget="muc-luc" { (icon("menu")) (self.say("page.menu")) }
            }
            @match &self.who {
                Some(who) => div.who {
                    span { (who.person.name) @if let Some(roles) = self.roles(who) { ", " (roles) } }
                    " " form method="post" action="/thoat" { button.link { (self.say("sign_in.out")) } }
                },
                None => (self.other_language()),
            }
        }
    }

    /// Tells whoever can do something about it that the disk is nearly full, and all staff that it is full. Pages on which an
    /// emergency is stopped have no room for that.
    fn disk(&self, state: DiskState) -> Markup {
        let concerns: &[Role] = if state.is_full() { &[] } else { &[Role::Administrator, Role::Technician] };
        let Some(said) = state.say().filter(|_| self.is_in() && self.sees(concerns)) else {
            return html! {};
        };
        let kind = if state.is_full() { "k-bad" } else { "k-look" };
        html! {
            div.wrap.told { div.alarm.tight.(kind) #dia role="alert" {
                p { (icon("fix")) " " b { (self.tell(&said)) } }
                @if self.sees(&[Role::Administrator]) { p { a href="/cai-dat/luu-giu" { (self.say("disk.where")) } } }
            } }
        }
    }

    /// The question to whoever has not used the page for nearly an hour; the script shows it.
    fn ends_soon(&self, who: &Who) -> Markup {
        let left = sign_in::left(who).as_millis() / 1_000;
        html! {
            div.alarm.k-look.tight.ends #sap-het role="alert" hidden data-con=(left) data-truoc=(ASKED_BEFORE_S) {
                p { (self.say("page.ends_soon")) }
                div.btns { button.btn.sec type="button" { (self.say("page.stay")) } }
            }
        }
    }

    fn other_language(&self) -> Markup {
        let other = self.lang.other().tag();
        let query = if self.query.is_empty() { String::new() } else { format!("{}&", self.query) };
        html! { a href={ (self.path) "?" (query) "lang=" (other) } lang=(other) { (self.say("page.other_language")) } }
    }

    /// The roles of a person, or how many they are where they would fill the header.
    fn roles(&self, who: &Who) -> Option<String> {
        let roles = Role::ALL.into_iter().filter(|role| who.has(*role));
        let roles: Vec<_> = roles.map(|role| self.texts.code("role", role.code())).collect();
        match roles.len() {
            0 => None,
            1..=ROLES_NAMED_MAX => Some(roles.join(", ")),
            count => Some(self.tell(&said!("page.roles", count))),
        }
    }

    fn menu(&self) -> Markup {
        html! {
            nav.nav #muc-luc popover aria-label=(self.say("page.pages")) {
                button.menu popovertarget="muc-luc" { (icon("no")) (self.say("page.close")) }
                ul {
                    @for (address, name, roles) in MENU {
                        @if self.sees(roles) {
                            li { a href=(address) aria-current=[self.is_at(address).then_some("page")] {
                                (self.say(name))
                                @if address == "/duyet-tin" && self.waiting > 0 { " " span.count { (self.waiting) } }
                            } }
                        }
                    }
                }
            }
        }
    }

    fn footer(&self, app: &App) -> Markup {
        html! {
            @if self.is_in() {
                ul {
                    @for (address, name, roles) in FOOT {
                        @if self.sees(roles) { li { a href=(address) { (self.say(name)) } } }
                    }
                    @if app.training_url().is_some() { li { a href="/tap-huan" { (self.say("training.title")) } } }
                    li { (self.other_language()) }
                }
            } @else { p { (self.tell(&said!("page.for_staff", commune = app.settings.commune))) } }
        }
    }
}

impl FromRequestParts<Arc<App>> for Frame {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Infallible> {
        let who = parts.extensions.get::<Who>().cloned();
        let waiting = parts.extensions.get::<Waiting>().map_or(0, |waiting| waiting.0);
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self { waiting, query, ..Self::new(lang_of(&parts.headers), who, parts.uri.path().to_owned()) })
    }
}

impl FromRequestParts<Arc<App>> for Who {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, PageError> {
        parts.extensions.get::<Who>().cloned().ok_or(PageError::Nobody)
    }
}

/// Remembers the language that an address asks for, and goes back to the page without; `None` where it asks for none.
pub fn choose_language(uri: &Uri) -> Option<Response> {
    let pairs: Vec<_> = url::form_urlencoded::parse(uri.query()?.as_bytes()).collect();
    let lang = Lang::of(&pairs.iter().find(|(name, _)| name == "lang")?.1).tag();
    let rest = pairs.iter().filter(|(name, _)| name != "lang");
    let rest = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish();
    let page = if rest.is_empty() { uri.path().to_owned() } else { format!("{}?{rest}", uri.path()) };
    // A path of two slashes would be another server's name.
    let page = format!("/{}", page.trim_start_matches('/'));
    let cookie = format!("{LANG_COOKIE}={lang}; Path=/; Max-Age=31536000; SameSite=Lax");
    Some(([(header::SET_COOKIE, cookie)], Redirect::to(&page)).into_response())
}

/// The language that a reader chose; Vietnamese where none was chosen.
pub fn lang_of(headers: &HeaderMap) -> Lang {
    session::cookie(headers, LANG_COOKIE).map_or(Lang::Vi, Lang::of)
}

/// An asset that this program brings along.
pub fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    (
        [
            (header::CONTENT_TYPE, format!("{kind}; charset=utf-8")),
            (header::CACHE_CONTROL, "public, max-age=3600".to_owned()),
        ],
        text,
    )
}

/// A page that says why the one that was asked for is not shown.
pub fn refusal(app: &App, frame: &Frame, status: StatusCode, why: &Sentence) -> Response {
    refusal_in_words(app, frame, status, &frame.tell(why))
}

/// A page that says, in words of the reader's language, why the one that was asked for is not shown.
pub fn refusal_in_words(app: &App, frame: &Frame, status: StatusCode, why: &str) -> Response {
    let title = frame.say("page.refused");
    let content = html! {
        div.narrow.stack {
            h1 { (title) }
            p role="alert" { (why) }
            div.btns {
                @if frame.is_in() { a.btn href="/" { (frame.say("page.to_home")) } } @else {
                    a.btn href="/dang-nhap" { (frame.say("sign_in.title")) }
                    a.btn.sec href="/chuong-trinh" { (frame.say("page.to_programme")) }
                }
            }
        }
    };
    (status, frame.draw(app, title, content)).into_response()
}

/// Local date and time as staff write it: `17:05, 26/11/2026`.
pub fn moment(at: Wall) -> String {
    at.local().format("%H:%M, %d/%m/%Y").to_string()
}

/// A page that is not drawn.
pub enum PageError {
    /// Something else is answered in its place, for instance why the reader may not see it.
    Answer(Box<Response>),
    Store(StoreError),
    /// The page is a person's, and its door let somebody else pass.
    Nobody,
}

impl From<Response> for PageError {
    fn from(answer: Response) -> Self {
        Self::Answer(Box::new(answer))
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        match self {
            PageError::Answer(answer) => *answer,
            PageError::Store(error) if error.may_pass() => {
                (refusal_status(&error), words::in_both(&error.say())).into_response()
            }
            PageError::Store(error) => {
                tracing::error!(%error, "a page can't be drawn");
                (StatusCode::INTERNAL_SERVER_ERROR, words::in_both(&said!("page.no_data"))).into_response()
            }
            PageError::Nobody => {
                (StatusCode::UNAUTHORIZED, words::in_both(&said!("page.sign_in"))).into_response()
            }
        }
    }
}
