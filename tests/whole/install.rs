//! The installer's page of README.md, word for word: a centre and a box on two machines of their own, to the first sound.
//!
//! Each machine has its own /etc, /usr, /var/lib and users; see `tests/support/machine.sh` for what is not as in the field.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use crate::packages;
use crate::support::eventually;
use crate::support::soundcard::SoundCard;

/// The longest wait of a new box for its first contact, and some more.
const CONTACT_MAX: Duration = Duration::from_secs(180);
/// The line that ends what a command said.
const DONE: &str = "::done ";
/// Samples of 16 bits that are louder than silence.
const LOUD: i16 = 300;

/// The lines of a block of the page.
fn block(name: &str) -> Vec<String> {
    let page = fs::read_to_string(root().join("README.md")).unwrap();
    let marker = format!("<!-- install: {name} -->\n```");
    let (_, rest) = page.split_once(&marker).unwrap_or_else(|| panic!("the page has a block {name}"));
    let (_kind, rest) = rest.split_once('\n').unwrap();
    let (lines, _) = rest.split_once("```").unwrap();
    lines.lines().map(str::to_owned).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A machine on which the page's commands are typed.
struct Machine {
    shell: Child,
    typed: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Machine {
    /// Starts a machine with a package in its current directory.
    fn start(dir: &Path, deb: &Path, env: &[(String, String)]) -> Self {
        let scratch = dir.join("scratch");
        fs::create_dir_all(&scratch).unwrap();
        symlink(deb, dir.join(deb.file_name().unwrap())).unwrap();
        let mut shell = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "bash"])
            .arg(root().join("tests/support/machine.sh"))
            .arg(&scratch)
            .current_dir(dir)
            .env("LOAXA_LANG", "vi")
            .envs(env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (typed, said) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        Self { shell, typed, said: BufReader::new(said) }
    }

    /// Types a command; gives whether it succeeded, and what it said.
    fn try_to(&mut self, command: &str) -> (bool, String) {
        writeln!(self.typed, "{command}").unwrap();
        let mut said = String::new();
        loop {
            let mut line = String::new();
            let read = self.said.read_line(&mut line).unwrap();
            assert!(read > 0, "the machine ended at {command}: {said}");
            match line.strip_prefix(DONE) {
                Some(code) => return (code.trim() == "0", said),
                None => said += &line,
            }
        }
    }

    fn run(&mut self, command: &str) -> String {
        let (ok, said) = self.try_to(command);
        assert!(ok, "{command}\n{said}");
        said
    }

    fn run_all(&mut self, commands: &[String]) -> String {
        commands.iter().map(|command| self.run(command)).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (_, said) = self.try_to("tail -n 40 /run/*.log");
            eprintln!("its services said:\n{said}");
        }
        // Its services end with it.
        let _ = writeln!(self.typed, "exit");
        let _ = self.shell.wait();
    }
}

/// A network of the test's own with one address, which is not a loopback address.
fn enter_a_network() -> bool {
    let run = |program: &str, arguments: &[&str]| {
        Command::new(program).args(arguments).status().is_ok_and(|status| status.success())
    };
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_ok()
        && run("ip", &["link", "set", "lo", "up"])
        && run("ip", &["addr", "add", "10.77.0.1/32", "dev", "lo"])
        && run("ip", &["route", "add", "default", "dev", "lo", "src", "10.77.0.1"])
}

fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("install-{}-{name}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// A part of the command with which central answers an invitation.
fn argument<'a>(command: &'a str, name: &str) -> &'a str {
    let mut words = command.split(' ').skip_while(|word| *word != name);
    words.nth(1).unwrap_or_else(|| panic!("{name} in {command}"))
}

/// Counts what is louder than silence in a recording.
fn loud_samples(wav: &Path) -> usize {
    let bytes = fs::read(wav).unwrap_or_default();
    let samples = bytes.get(44..).unwrap_or_default().chunks_exact(2);
    samples.filter(|pair| i16::from_le_bytes([pair[0], pair[1]]).unsigned_abs() > LOUD as u16).count()
}

#[test]
fn the_installers_page_leads_to_the_first_sound() {
    if !nix::unistd::geteuid().is_root() || !enter_a_network() {
        eprintln!("left out: machines of their own, which take root");
        return;
    }
    let (centre_dir, box_dir, card_dir) = (folder("centre"), folder("box"), folder("card"));
    let (centre_deb, box_deb) =
        (packages::build("loaxa-central", &card_dir), packages::build("loaxa-box", &card_dir));
    let wav = card_dir.join("heard.wav");
    let card = SoundCard::start(&card_dir, &wav);
    fs::set_permissions(card_dir.join("dac"), Permissions::from_mode(0o666)).unwrap();

    let mut centre = Machine::start(&centre_dir, &centre_deb, &[]);
    centre.run_all(&block("central"));
    let code = block("code");
    eventually("central runs", || {
        centre.try_to("loaxa central invite --help && ss -ltn | grep -q 8443").0.then_some(())
    });
    let first = block("first");
    eventually("the first link", || {
        centre.try_to(&first[0]).1.contains("https://10.77.0.1:8443/").then_some(())
    });
    let people = centre.run_all(&block("people"));
    assert_eq!(people.matches("https://10.77.0.1:8443/moi/").count(), 3, "{people}");
    let invited = centre.run_all(&code);
    let enrol = invited.lines().find(|line| line.starts_with("sudo loaxa box enrol")).expect("the command");
    assert!(enrol.contains("10.77.0.1") && !enrol.contains("127.0.0.1"), "{enrol}");

    let mut village = Machine::start(&box_dir, &box_deb, &[card.env()]);
    for command in block("box") {
        match command.as_str() {
            _ if command.starts_with("sudo loaxa box enrol") => drop(village.run(enrol)),
            // The clock is central's, a moment after the start.
            "sudo loaxa box check" => until_sound(&mut village, &command),
            _ => drop(village.run(&command)),
        }
    }
    let tone = loud_samples(&wav);
    assert!(tone > 0, "the test tone is heard");

    // The test may run at night.
    centre.run("printf 'allowed = [{ from = \"00:00\", until = \"23:59:59\" }]\\n' >/tmp/limits-$$.toml");
    centre.run("loaxa policy send /tmp/limits-$$.toml --to binh-minh && rm /tmp/limits-$$.toml");
    assert!(centre.run("loaxa policy show").contains("được phát từ 00:00"));
    let held = |centre: &mut Machine| centre.run("loaxa policy show").contains("1/1 cụm loa đang giữ");
    eventually("the box holds the limits", || held(&mut centre).then_some(()));

    let said = centre.run_all(&block("sound"));
    assert!(said.contains("gửi đến 1 cụm loa") && said.contains("phát ngay bây giờ"), "{said}");
    let finished = |centre: &mut Machine| centre.run("loaxa logs --format csv").contains(",finished,");
    eventually("the announcement in central's log", || finished(&mut centre).then_some(()));
    assert!(loud_samples(&wav) > tone, "the announcement is heard");

    the_same_day(&mut centre);
    let other_dir = folder("other");
    a_box_without_a_keyboard(&mut centre, &other_dir, &box_deb);
    // Nothing of the service's lies where it may not write.
    let foreign = centre.run("find /etc/loaxa -newer /etc/loaxa/central.toml -type f");
    assert_eq!(foreign, "\n");
    drop((centre, village, card));
    for dir in [centre_dir, box_dir, card_dir, other_dir] {
        // A busy mount keeps it; the next build's folder is another.
        let _ = fs::remove_dir_all(dir);
    }
}

/// Lets another box in by a file on its boot partition, and a third by the menu on its console; neither takes a code that was
/// used, and the card says so.
fn a_box_without_a_keyboard(centre: &mut Machine, dir: &Path, deb: &Path) {
    let mut invite = |id: &str| {
        let invited = centre.run(&format!("loaxa central invite {id} --title 'Thôn Đoài' --group thon-doai"));
        let command = invited.lines().find(|line| line.starts_with("sudo loaxa box enrol")).unwrap();
        (argument(command, "--central").to_owned(), argument(command, "--code").to_owned())
    };
    let (address, code) = invite("thon-doai-1");
    let mut other = Machine::start(dir, deb, &[]);
    other.run("sudo apt-get install -y ./loaxa-box_*.deb && mkdir /boot/firmware");
    other.run("sudo systemctl start loaxa-first-start && [ ! -e /etc/loaxa/box.toml ]");
    let write = |other: &mut Machine, code: &str| {
        let card = block("card").join("\r\n").replace("ADDRESS", &address).replace("CODE", code);
        fs::write(dir.join("loaxa.toml"), card + "\r\noutput = \"null\"\r\n").unwrap();
        other.run("cp loaxa.toml /boot/firmware/");
    };
    write(&mut other, &code);
    other.run("sudo systemctl start loaxa-first-start");
    other.run("grep -q 'id = \"thon-doai-1\"' /etc/loaxa/box.toml && [ ! -e /boot/firmware/loaxa.toml ]");
    other.run("grep thon-doai-1 /boot/firmware/loaxa-result.txt");
    eventually("the daemon runs", || other.try_to("sudo loaxa box status").0.then_some(()));

    other.run("rm -r /etc/loaxa/*");
    write(&mut other, &code);
    let (taken, said) = other.try_to("sudo systemctl start loaxa-first-start");
    assert!(!taken && said.contains("không ghi danh được"), "{said}");
    other.run("[ ! -e /etc/loaxa/box.toml ] && grep 'not enrolled' /boot/firmware/loaxa-result.txt");

    let (address, code) = invite("thon-doai-2");
    let address = address.trim_start_matches("https://").trim_end_matches(":8443");
    fs::write(dir.join("typed"), format!("x\n1\n{address}\n{code}\n")).unwrap();
    let said = other.run("sudo loaxa box setup <typed");
    assert!(said.contains("cụm loa này nay là thon-doai-2"), "{said}");
    let (address, code) = invite("thon-doai-3");
    let said = other.run(&format!("sudo loaxa box enrol {code} --central {address} --dir /run/enrolled"));
    assert!(said.contains("thon-doai-3"), "{said}");
}

/// Waits until the check finds nothing bad: boxes come into contact spread over two minutes.
fn until_sound(village: &mut Machine, check: &str) {
    let begun = Instant::now();
    loop {
        let (ok, said) = village.try_to(check);
        if ok {
            return;
        }
        assert!(begun.elapsed() < CONTACT_MAX, "in vain waited for a sound box:\n{said}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Does what the page says can be done on the same day: a live voice, an emergency by two people.
fn the_same_day(centre: &mut Machine) {
    let voice = root().join("tests/fixtures/sound/chirp.wav");
    let spoken = centre.run(&format!("loaxa live --anyway --group binh-minh {}", voice.display()));
    assert!(spoken.contains("đã phát trực tiếp"), "{spoken}");
    let key = "/etc/loaxa/offline/truc-ban";
    let order = "loaxa announce --to thon-dong --class emergency --text 'Lũ về, bà con lên cao.'";
    let drafted = centre.run(&format!("{order} --key {key}-1.key"));
    let id = drafted.split_whitespace().nth(4).unwrap().to_owned();
    let sent = centre.run(&format!("loaxa draft sign {id} --yes --key {key}-2.key"));
    assert!(sent.contains("đã gửi đến các cụm loa"), "{sent}");
}
