//! A real Chromium without a window, driven over its DevTools protocol.
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

/// Longest wait for anything on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Presses until an element that moves must have been met.
const PRESSES_MAX: u32 = 5;

/// One Chromium process.
pub struct Browser {
    child: Child,
    address: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let child = Command::new("chromium")
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            // A microphone that beeps, and nobody who has to allow it.
            .args(["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"])
            .args(["--remote-debugging-port=0", "--mute-audio", "--lang=vi", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Its helpers end with it.
            .process_group(0)
            .spawn()
            .expect("chromium is installed (scripts/setup.sh --tests)");
        let deadline = Instant::now() + PATIENCE;
        let address = loop {
            let told = std::fs::read_to_string(profile.path().join("DevToolsActivePort")).unwrap_or_default();
            if let Some((port, path)) = told.trim().split_once('\n') {
                break format!("ws://127.0.0.1:{port}{path}");
            }
            assert!(Instant::now() < deadline, "chromium does not start");
            std::thread::sleep(Duration::from_millis(20));
        };
        Self { child, address, _profile: profile }
    }

    /// A page of a person who shares nothing with the others: no storage, no cookies.
    pub fn person(&self, url: &str) -> Page {
        let (socket, _) = tungstenite::connect(&self.address).unwrap();
        let mut page = Page { socket, session: Value::Null, asked: 0 };
        let context = page.ask("Target.createBrowserContext", json!({}))["browserContextId"].clone();
        let size = json!({ "url": "about:blank", "browserContextId": context, "width": 412, "height": 915 });
        let target = page.ask("Target.createTarget", size)["targetId"].clone();
        let attached = page.ask("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        page.session = attached["sessionId"].clone();
        page.ask("Page.enable", json!({}));
        page.go(url);
        page
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = nix::unistd::Pid::from_raw(self.child.id() as i32);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// One page.
pub struct Page {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: Value,
    asked: u64,
}

impl Page {
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.try_to_ask(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Asks, and gives the error back, for instance where the page went away meanwhile.
    fn try_to_ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.asked += 1;
        let mut request = json!({ "id": self.asked, "method": method, "params": params });
        if !self.session.is_null() {
            request["sessionId"] = self.session.clone();
        }
        self.socket.send(Message::text(request.to_string())).unwrap();
        loop {
            let Message::Text(said) = self.socket.read().unwrap() else { continue };
            let said: Value = serde_json::from_str(&said).unwrap();
            if said["id"] == self.asked {
                let error = &said["error"];
                return if error.is_null() { Ok(said["result"].clone()) } else { Err(error.clone()) };
            }
        }
    }

    /// Opens an address and waits until it is there.
    pub fn go(&mut self, url: &str) {
        self.ask("Page.navigate", json!({ "url": url }));
        self.until("location.href !== 'about:blank'");
    }

    /// Runs a script at the beginning of each page that is opened from now on.
    pub fn on_each_page(&mut self, script: &str) {
        self.ask("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }));
    }

    /// Gives the browser the session of a person, for the server of the page that is open.
    pub fn sign_in(&mut self, staff: &super::staff::Staff) {
        let (name, value) = staff.cookie.split_once('=').unwrap();
        let url = self.value("location.origin");
        self.ask("Network.setCookie", json!({ "name": name, "value": value, "url": url, "httpOnly": true }));
    }

    /// Gives the page a device of its own that keeps passkeys and knows its person's finger; gives its id.
    pub fn add_authenticator(&mut self) -> String {
        self.ask("WebAuthn.enable", json!({}));
        let device = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true, "automaticPresenceSimulation": true,
        });
        let added = self.ask("WebAuthn.addVirtualAuthenticator", json!({ "options": device }));
        added["authenticatorId"].as_str().unwrap().to_owned()
    }

    /// Says whether a device knows its person from now on.
    pub fn verify_people(&mut self, device: &str, knows: bool) {
        let asked = json!({ "authenticatorId": device, "isUserVerified": knows });
        self.ask("WebAuthn.setUserVerified", asked);
    }

    /// The first passkey that a device keeps.
    pub fn credential(&mut self, device: &str) -> Value {
        let kept = self.ask("WebAuthn.getCredentials", json!({ "authenticatorId": device }));
        kept["credentials"][0].clone()
    }

    /// Puts a passkey into a device.
    pub fn add_credential(&mut self, device: &str, credential: &Value) {
        let asked = json!({ "authenticatorId": device, "credential": credential });
        self.ask("WebAuthn.addCredential", asked);
    }

    /// Evaluates an expression on the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.ask("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The text of an element.
    pub fn text(&mut self, selector: &str) -> String {
        self.value(&format!("document.querySelector({selector:?})?.innerText ?? ''"))
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, condition: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.is_so(condition) {
            if Instant::now() > deadline {
                let page = self.value("document.body?.innerText ?? ''");
                panic!("waited in vain for {condition}; the page says:\n{page}");
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Tells whether an expression is true; on a page that is just going away or coming nothing is.
    fn is_so(&mut self, condition: &str) -> bool {
        let whole = format!("document.readyState === 'complete' && Boolean({condition})");
        let asked = json!({ "expression": whole, "returnByValue": true });
        let answer = self.try_to_ask("Runtime.evaluate", asked).unwrap_or_default();
        answer["exceptionDetails"].is_null() && answer["result"]["value"] == true
    }

    /// Waits until an element is shown and says so.
    pub fn until_says(&mut self, selector: &str, words: &str) {
        self.until(&format!("document.querySelector({selector:?})?.innerText.includes({words:?})"));
    }

    /// Types into a field.
    pub fn fill(&mut self, selector: &str, words: &str) {
        self.value(&format!(
            "{{ const field = document.querySelector({selector:?}); field.value = {words:?};
                for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, {{ bubbles: true }})); 0 }}"
        ));
    }

    /// Clicks on what is there and not disabled.
    pub fn click(&mut self, selector: &str) {
        self.until(&format!(
            "document.querySelector({selector:?}) && !document.querySelector({selector:?}).disabled"
        ));
        let asked = json!({ "expression": format!("document.querySelector({selector:?}).click()") });
        match self.try_to_ask("Runtime.evaluate", asked) {
            Ok(answer) => assert!(answer["exceptionDetails"].is_null(), "{selector}: {answer}"),
            // The click led away from the page.
            Err(error) => assert!(error.to_string().contains("navigated"), "{selector}: {error}"),
        }
    }

    /// Writes what a phone shows, from top to bottom, into a PNG.
    pub fn picture(&mut self, path: &Path) {
        let phone = json!({ "width": 412, "height": 915, "deviceScaleFactor": 1, "mobile": true });
        self.ask("Emulation.setDeviceMetricsOverride", phone);
        let taken = self.ask("Page.captureScreenshot", json!({ "captureBeyondViewport": true }));
        std::fs::write(path, BASE64.decode(taken["data"].as_str().unwrap()).unwrap()).unwrap();
    }

    /// Prints the page as its stylesheet wants it, and returns the PDF in base64.
    pub fn pdf(&mut self) -> String {
        let printed = self.ask("Page.printToPDF", json!({ "preferCSSPageSize": true }));
        printed["data"].as_str().unwrap().to_owned()
    }

    /// Presses the mouse on an element, or lets it go. What comes in above it meanwhile may move it away from under the mouse;
    /// then it is pressed again, as by a person.
    pub fn hold(&mut self, selector: &str, down: bool) {
        for _ in 0..PRESSES_MAX {
            self.mouse(selector, down);
            let has_missed = format!(
                "document.querySelector({selector:?}) && !document.querySelector({selector:?}).matches(':active')"
            );
            if !down || !self.is_so(&has_missed) {
                return;
            }
            self.mouse("h1", false);
        }
        panic!("{selector} is not there where the mouse was pressed, {PRESSES_MAX} times");
    }

    fn mouse(&mut self, selector: &str, down: bool) {
        let place = self.value(&format!(
            "{{ const it = document.querySelector({selector:?}); it.scrollIntoView({{ block: 'center' }});
                const {{ x, y, width, height }} = it.getBoundingClientRect(); [x + width / 2, y + height / 2] }}"
        ));
        let kind = if down { "mousePressed" } else { "mouseReleased" };
        let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
        self.ask("Input.dispatchMouseEvent", event);
    }

    /// Drags an element down by so many pixels, or up where they are negative; `look` sees the page before it is let go.
    pub fn drag(&mut self, selector: &str, down: i32, look: impl FnOnce(&mut Self)) {
        let place = self.value(&format!(
            "{{ const it = document.querySelector({selector:?}); it.scrollIntoView({{ block: 'center' }});
                const {{ x, y, width, height }} = it.getBoundingClientRect(); [x + width / 2, y + height / 2] }}"
        ));
        let (x, y) = (place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
        let mouse = |page: &mut Self, kind: &str, y: f64| {
            let buttons = u8::from(kind != "mouseReleased");
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1 });
            page.ask("Input.dispatchMouseEvent", event);
        };
        mouse(self, "mousePressed", y);
        for step in 1..=4 {
            mouse(self, "mouseMoved", y + f64::from(down) * f64::from(step) / 4.0);
        }
        look(self);
        mouse(self, "mouseReleased", y + f64::from(down));
    }

    /// Presses Enter where the focus is.
    pub fn press_enter(&mut self) {
        self.press("Enter", 13);
    }

    /// Presses a key by its name and number where the focus is.
    pub fn press(&mut self, key: &str, number: u32) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": number });
            if kind == "keyDown" && key == "Enter" {
                event["text"] = "\r".into();
            }
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    /// Chooses a file in a field.
    pub fn choose(&mut self, selector: &str, path: &Path) {
        let document = self.ask("DOM.getDocument", json!({}))["root"]["nodeId"].clone();
        let node =
            self.ask("DOM.querySelector", json!({ "nodeId": document, "selector": selector }))["nodeId"]
                .clone();
        self.ask("DOM.setFileInputFiles", json!({ "files": [path], "nodeId": node }));
    }

    /// Slows the network to so many bytes a second, or cuts it.
    pub fn network(&mut self, bytes_a_second: Option<u32>) {
        self.ask("Network.enable", json!({}));
        let (offline, rate) = (bytes_a_second.is_none(), bytes_a_second.map_or(-1, i64::from));
        let conditions =
            json!({ "offline": offline, "latency": 0, "downloadThroughput": rate, "uploadThroughput": rate });
        self.ask("Network.emulateNetworkConditions", conditions);
    }

    /// Sets the clock of the browser's computer to a time zone, as `Etc/GMT+12`; pages that are drawn from now on see it.
    pub fn zone(&mut self, name: &str) {
        self.ask("Emulation.setTimezoneOverride", json!({ "timezoneId": name }));
    }

    /// Shows the page as wide as this, light or dark.
    pub fn screen(&mut self, width: u32, dark: bool) {
        self.size(width, 900, dark);
    }

    /// Gives the page a screen of this size, light or dark.
    pub fn size(&mut self, width: u32, height: u32, dark: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700 });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.ask("Emulation.setEmulatedMedia", json!({ "features": [scheme] }));
    }

    /// Writes the whole page as it is shown now into a PNG, where `LOAXA_PICTURES` names a folder for it.
    pub fn keep_picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("LOAXA_PICTURES") else { return };
        let size = self.ask("Page.getLayoutMetrics", json!({}))["cssContentSize"].clone();
        let clip = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        let whole = json!({ "captureBeyondViewport": true, "clip": clip });
        let taken = self.ask("Page.captureScreenshot", whole);
        let bytes = BASE64.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// Finds what axe-core has to complain of, and what sticks out to the side, as lines for people.
    pub fn faults(&mut self) -> Vec<String> {
        self.value(&format!("{}; 0", include_str!("../fixtures/axe/axe.min.js")));
        let found = self.value(
            "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations.flatMap(
                ({ id, nodes }) => nodes.slice(0, 3).map((node) => `${id}: ${node.html.slice(0, 160)} ${node.any[0]?.message ?? ''}`)))",
        );
        let mut faults: Vec<String> = serde_json::from_value(found).unwrap();
        let wide = self.value("document.scrollingElement.scrollWidth - innerWidth");
        if wide.as_i64().unwrap() > 0 {
            faults.push(format!("{wide} px wider than the screen"));
        }
        let small = self.value(
            "[...document.querySelectorAll('button, .btn, select, input:not([type=hidden]):not([type=radio]):not([type=checkbox])')]
                .filter((it) => it.offsetParent && it.getBoundingClientRect().height < 43.5).map((it) => `less than 44 px high: ${it.outerHTML.slice(0, 120)}`)",
        );
        faults.extend(serde_json::from_value::<Vec<String>>(small).unwrap());
        let tiny = self.value(
            "[...document.querySelectorAll('body *')].filter((it) => it.offsetParent && [...it.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())
                && parseFloat(getComputedStyle(it).fontSize) < 15.9).map((it) => `less than 16 px: ${it.outerHTML.slice(0, 120)}`)",
        );
        faults.extend(serde_json::from_value::<Vec<String>>(tiny).unwrap());
        faults
    }

    /// Tells whether what has the focus is the same thing, and has it still, after parts of the page came anew `times`.
    pub fn keeps_focus(&mut self, selector: &str, times: u32) -> bool {
        self.value(&format!(
            "{{ window.swaps = 0; addEventListener('htmx:afterSwap', () => swaps += 1);
               window.held = document.querySelector(`{selector}`); held.focus(); 0 }}"
        ));
        self.until(&format!("swaps >= {times}"));
        self.value("document.activeElement === held") == true
    }

    /// Goes through the page by the Tab key alone: finds what can't be reached, and where the focus is not seen. What
    /// left the page meanwhile is none.
    pub fn faults_by_keyboard(&mut self) -> Vec<String> {
        let all = self.value(
            "{ const seen = new Set();
               window.reachable = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, audio')]
                 .filter((it) => it.checkVisibility({ visibilityProperty: true }) && !it.disabled && !it.closest('[popover]:not(:popover-open)'))
                 .filter((it) => it.type !== 'radio' || (it.checked || !document.querySelector(`input[name='${it.name}']:checked`)) && !seen.has(it.name) && seen.add(it.name));
               document.activeElement?.blur(); window.getSelection().removeAllRanges(); window.scrollTo(0, 0); reachable.length }",
        );
        let mut faults = Vec::new();
        let (mut reached, mut unseen) =
            (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for _ in 0..3 * all.as_u64().unwrap() + 10 {
            self.press("Tab", 9);
            let at = self.value(
                "{ const it = document.activeElement, style = getComputedStyle(it);
                   const label = it.labels?.[0] ? getComputedStyle(it.labels[0]) : style;
                   const shown = [style, label].some((one) => one.outlineStyle !== 'none' || one.boxShadow !== 'none');
                   [reachable.indexOf(it), it === document.body || shown] }",
            );
            let index = at[0].as_i64().unwrap();
            if at[1] == false {
                unseen.insert(index);
            }
            reached.insert(index);
        }
        let name = |index: i64| format!("reachable[{index}].outerHTML.slice(0, 120)");
        for index in 0..all.as_i64().unwrap() {
            if !reached.contains(&index) && self.value(&format!("reachable[{index}].isConnected")) == true {
                faults.push(format!("not reached by Tab: {}", self.value(&name(index))));
            }
        }
        for index in unseen.into_iter().filter(|index| *index >= 0) {
            faults.push(format!("the focus is not seen on {}", self.value(&name(index))));
        }
        faults
    }

    /// Looks at the page on telephones and on a desk, light and dark: axe finds nothing, and nothing sticks out. Pictures
    /// are kept where somebody wants them.
    pub fn look(&mut self, name: &str) {
        for (width, dark) in [(320, false), (390, false), (390, true), (1280, false), (1280, true)] {
            self.screen(width, dark);
            let faults = self.faults();
            assert!(faults.is_empty(), "{name} at {width} px, dark {dark}: {faults:#?}");
            self.keep_picture(&format!("{name}-{width}-{}", if dark { "dark" } else { "light" }));
        }
        self.screen(412, false);
    }
}
