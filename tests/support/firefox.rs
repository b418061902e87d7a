//! A real Firefox without a window, driven over WebDriver BiDi.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

use super::pulse::Pulse;

/// Longest wait for anything on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A microphone that beeps and nobody who has to allow it; nothing is asked of servers elsewhere.
const PREFERENCES: &str = "user_pref('media.navigator.streams.fake', true);
user_pref('media.navigator.permission.disabled', true);
user_pref('media.autoplay.default', 0);
user_pref('intl.accept_languages', 'vi');
user_pref('browser.shell.checkDefaultBrowser', false);
user_pref('datareporting.policy.dataSubmissionEnabled', false);
user_pref('app.update.enabled', false);
user_pref('network.captive-portal-service.enabled', false);
user_pref('network.connectivity-service.enabled', false);
user_pref('browser.safebrowsing.update.enabled', false);
";

/// One Firefox process with one window.
pub struct Firefox {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    context: Value,
    asked: u64,
    _profile: tempfile::TempDir,
}

impl Firefox {
    /// Starts it beside a sound server: without anything that plays sound, it computes none.
    pub fn start(sound: &Pulse) -> Self {
        let profile = tempfile::tempdir().unwrap();
        std::fs::write(profile.path().join("user.js"), PREFERENCES).unwrap();
        let mut child = Command::new("firefox-esr")
            .args(["--headless", "--remote-debugging-port", "0", "--no-remote", "--profile"])
            .arg(profile.path())
            .env("HOME", profile.path())
            .env("PULSE_SERVER", sound.server())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Its helpers end with it.
            .process_group(0)
            .spawn()
            .expect("firefox-esr is installed (scripts/setup.sh --tests)");
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = said
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("BiDi listening on ")?.1.trim().to_owned()))
            .expect("firefox says where it listens");
        // What it says later is read, so that it never waits for room.
        std::thread::spawn(move || said.for_each(drop));
        let (socket, _) = tungstenite::connect(format!("{address}/session")).unwrap();
        let mut firefox = Self { child, socket, context: Value::Null, asked: 0, _profile: profile };
        firefox.ask("session.new", json!({ "capabilities": {} }));
        let tree = firefox.ask("browsingContext.getTree", json!({}));
        firefox.context = tree["contexts"][0]["context"].clone();
        firefox
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.try_to_ask(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_to_ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.asked += 1;
        let request = json!({ "id": self.asked, "method": method, "params": params });
        self.socket.send(Message::text(request.to_string())).unwrap();
        loop {
            let Message::Text(said) = self.socket.read().unwrap() else { continue };
            let said: Value = serde_json::from_str(&said).unwrap();
            if said["id"] == self.asked {
                return if said["type"] == "success" { Ok(said["result"].clone()) } else { Err(said) };
            }
        }
    }

    /// Opens an address and waits until it is there.
    pub fn go(&mut self, url: &str) {
        let asked = json!({ "context": self.context, "url": url, "wait": "complete" });
        self.ask("browsingContext.navigate", asked);
    }

    /// Runs a script on the page and gives what it comes to, once that is known.
    fn evaluate(&mut self, script: &str) -> Result<Value, Value> {
        let asked =
            json!({ "expression": script, "target": { "context": self.context }, "awaitPromise": true });
        let answer = self.try_to_ask("script.evaluate", asked)?;
        match answer["type"].as_str() {
            Some("success") => Ok(answer["result"]["value"].clone()),
            _ => Err(answer),
        }
    }

    /// Evaluates an expression on the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let script = format!("Promise.resolve({expression}).then((it) => JSON.stringify(it ?? null))");
        let text = self.evaluate(&script).unwrap_or_else(|error| panic!("{expression}: {error}"));
        serde_json::from_str(text.as_str().unwrap()).unwrap()
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        // On a page that is just going away nothing is true.
        while self.evaluate(&format!("Boolean({condition})")) != Ok(Value::Bool(true)) {
            if Instant::now() > deadline {
                let page = self.value("[location.href, document.body?.innerText]");
                panic!("waited in vain for {condition}; the page says:\n{page}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until an element says so.
    pub fn until_says(&mut self, selector: &str, words: &str) {
        self.until(&format!("document.querySelector({selector:?})?.innerText.includes({words:?})"));
    }

    /// Types into a field.
    pub fn fill(&mut self, selector: &str, words: &str) {
        self.until(&format!("document.querySelector({selector:?})"));
        self.value(&format!(
            "(() => {{ const field = document.querySelector({selector:?}); field.value = {words:?};
                for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, {{ bubbles: true }})); }})()"
        ));
    }

    /// Clicks on what is there and not disabled.
    pub fn click(&mut self, selector: &str) {
        self.until(&format!("document.querySelector({selector:?})?.disabled === false || document.querySelector({selector:?})?.href"));
        // The click may lead away from the page, and then nobody answers.
        let _ = self.evaluate(&format!("setTimeout(() => document.querySelector({selector:?}).click()); 0"));
    }

    /// Presses the mouse on an element, or lets it go.
    pub fn hold(&mut self, selector: &str, down: bool) {
        let place = self.value(&format!(
            "(() => {{ const it = document.querySelector({selector:?}); it.scrollIntoView({{ block: 'center' }});
                const {{ x, y, width, height }} = it.getBoundingClientRect(); return [x + width / 2, y + height / 2] }})()"
        ));
        let [x, y] = [0, 1].map(|nth| place[nth].as_f64().unwrap().round() as i64);
        let mut actions = vec![json!({ "type": "pointerMove", "x": x, "y": y })];
        actions.push(match down {
            true => json!({ "type": "pointerDown", "button": 0 }),
            false => json!({ "type": "pointerUp", "button": 0 }),
        });
        let mouse = json!({ "type": "pointer", "id": "mouse", "actions": actions });
        self.ask("input.performActions", json!({ "context": self.context, "actions": [mouse] }));
    }

    /// Forgets who is signed in.
    pub fn forget(&mut self) {
        self.ask("storage.deleteCookies", json!({}));
    }

    /// Writes the page into a PNG, where `LOAXA_PICTURES` names a folder for it.
    pub fn keep_picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("LOAXA_PICTURES") else { return };
        let asked = json!({ "context": self.context, "origin": "document" });
        let taken = self.ask("browsingContext.captureScreenshot", asked);
        let bytes = BASE64.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::write(Path::new(&folder).join(format!("firefox-{name}.png")), bytes).unwrap();
    }

    /// Shows the page as wide as this, and finds what axe-core has to complain of and what sticks out to the side.
    pub fn faults(&mut self, width: u32) -> Vec<String> {
        let viewport = json!({ "width": width, "height": 900 });
        self.ask("browsingContext.setViewport", json!({ "context": self.context, "viewport": viewport }));
        let axe = include_str!("../fixtures/axe/axe.min.js");
        self.evaluate(&format!("{axe}; 0")).unwrap();
        let found = self.value(
            "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.flatMap(
                ({ id, nodes }) => nodes.slice(0, 3).map((node) => `${id}: ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`)))",
        );
        let mut faults: Vec<String> = serde_json::from_value(found).unwrap();
        let wide = self.value("document.scrollingElement.scrollWidth - document.documentElement.clientWidth");
        if wide.as_i64().unwrap() > 0 {
            faults.push(format!("{wide} px wider than the screen"));
        }
        faults
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.child.id() as i32);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
