//! The packages as they are built, without installing them: what they say of themselves, hold, and run as root. The long
//! test, in clean systems, is `make deb-test`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The units of each package; those of the first start rest until there is something to do.
const UNITS: [(&str, &[&str]); 2] = [
    ("loaxa-box", &["loaxa-box.service", "loaxa-first-start.service", "loaxa-setup.service"]),
    (
        "loaxa-central",
        &["loaxa-central-backup.service", "loaxa-central-backup.timer", "loaxa-central.service"],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Builds a package of the program under test, with all that the program can, so that both packages take the same.
pub fn build(name: &str, out: &Path) -> PathBuf {
    let arguments =
        ["native", "--binary", env!("CARGO_BIN_EXE_loaxa"), "--version", "0.1.0", "--compression", "none"];
    let built = Command::new(root().join("scripts/deb.sh"))
        .arg(name)
        .args(arguments)
        .args([Path::new("--out"), out])
        .env("LOAXA_MAINTAINER", "Loa Xã <loaxa@xa.example>")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
}

fn said(program: &str, arguments: &[&str]) -> String {
    let answer = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(answer.stdout).unwrap()
}

/// A package that was built and unpacked.
struct Package {
    name: &'static str,
    units: &'static [&'static str],
    deb: String,
    /// Folder with the files.
    tree: PathBuf,
    /// Folder with the control files.
    control: PathBuf,
}

fn each(check: impl Fn(&Package)) {
    for (name, units) in UNITS {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let deb = build(name, folder.path()).display().to_string();
        let (tree, control) = (folder.path().join("tree"), folder.path().join("control"));
        said("dpkg-deb", &["-x", &deb, tree.to_str().unwrap()]);
        said("dpkg-deb", &["-e", &deb, control.to_str().unwrap()]);
        check(&Package { name, units, deb, tree, control });
    }
}

#[test]
fn a_package_says_what_it_is_and_holds_what_its_units_need() {
    each(|package| {
        let field = |name: &str| said("dpkg-deb", &["-f", &package.deb, name]).trim().to_owned();
        assert_eq!((field("Package"), field("Version")), (package.name.to_owned(), "0.1.0".to_owned()));
        assert_eq!(field("Maintainer"), "Loa Xã <loaxa@xa.example>");
        assert!(field("Depends").starts_with("libc6 (>= 2."), "{}", field("Depends"));
        assert_eq!(field("Depends").contains("libasound2"), package.name == "loaxa-box");
        let control = fs::read_to_string(package.control.join("control")).unwrap();
        assert!(
            !control.contains('@') || control.matches('@').count() == 1,
            "a gap was not filled: {control}"
        );

        let units = package.tree.join("usr/lib/systemd/system");
        let mut found: Vec<_> = fs::read_dir(&units)
            .unwrap()
            .map(|unit| unit.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort_unstable();
        assert_eq!(found, package.units);
        let users =
            fs::read_to_string(package.tree.join(format!("usr/lib/sysusers.d/{}.conf", package.name)))
                .unwrap();
        for unit in package.units.iter().filter(|unit| unit.ends_with(".service")) {
            let text = fs::read_to_string(units.join(unit)).unwrap();
            let of = |key: &str| text.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
            let start = of("ExecStart").unwrap();
            assert!(start.starts_with("/usr/bin/loaxa "), "{start}");
            assert!(text.contains("ConditionPathExists="), "{unit} does not wait for its settings");
            if let Some(user) = of("User") {
                assert!(users.contains(&format!("u {user} ")), "{unit}: {user} is not made");
            }
            for group in of("SupplementaryGroups").unwrap_or_default().split_whitespace() {
                assert!(users.contains(&format!("m loaxa {group}")), "{unit}: not in {group}");
            }
        }
    });
}

#[test]
fn every_file_of_a_package_is_roots_and_what_may_be_edited_is_kept() {
    each(|package| {
        for line in said("dpkg-deb", &["-c", &package.deb]).lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            let (mode, owner) = (words[0], words[1]);
            assert_eq!(owner, "root/root", "{line}");
            assert!(["drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"].contains(&mode), "{line}");
            let is_program = line.ends_with(" ./usr/bin/loaxa");
            assert_eq!(mode == "-rwxr-xr-x", is_program, "{line}");
        }
        let edited = said(
            "find",
            &[package.tree.to_str().unwrap(), "-path", "*/etc/*", "-type", "f", "-printf", "/%P\n"],
        );
        let kept = fs::read_to_string(package.control.join("conffiles")).unwrap_or_default();
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&edited), sorted(&kept), "all below /etc is a conffile, and nothing else");
        // Settings, keys and data are made on the machine: a package that brought them would take them away.
        for place in ["etc/loaxa", "var"] {
            assert!(!package.tree.join(place).exists(), "{} brings {place}", package.name);
        }
    });
}

#[test]
fn what_a_package_runs_as_root_is_whole_and_undoes_what_it_did() {
    each(|package| {
        for name in ["postinst", "prerm", "postrm"] {
            let path = package.control.join(name);
            let text = fs::read_to_string(&path).unwrap();
            said("sh", &["-n", path.to_str().unwrap()]);
            assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -e\n"), "{name}: {text}");
            assert!(!text.contains('@'), "{name}: a gap was not filled: {text}");
            let is_enabled = |unit: &&&str| {
                let unit = package.tree.join("usr/lib/systemd/system").join(unit);
                fs::read_to_string(unit).unwrap().contains("\n[Install]\n")
            };
            let mut enabled = package.units.iter().filter(is_enabled);
            assert!(enabled.all(|unit| text.contains(unit)), "{name} of {}: {text}", package.name);
        }
        let removal = fs::read_to_string(package.control.join("postrm")).unwrap();
        let (before, purge) = removal.split_once("\"$1\" = purge").expect("it knows what to purge");
        assert!(!before.contains("rm -"), "what is removed but not purged stays: {before}");
        assert!(purge.contains("/etc/loaxa"));
        // What can't be made again outlives a centre's package.
        let is_box = package.name == "loaxa-box";
        assert_eq!(purge.contains("rm -rf \"${DPKG_ROOT:-}/var/lib/loaxa\""), is_box);
        assert_eq!(purge.contains("rm -rf"), is_box, "{purge}");
    });
}
