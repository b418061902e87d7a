//! Check of the flash memory's age, which cards and soldered chips tell by themselves.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use loaxa_heart::said;

/// The devices of this machine by their numbers.
const DEVICES: &str = "/sys/dev/block";
/// Name of the two steps of age, one for each kind of cell (JEDEC eMMC 5.1, DEVICE_LIFE_TIME_EST_TYP).
const LIFE_TIME: &str = "device/life_time";
/// Used-up life, in percent, from which a new one is to be at hand, and from which writes fail at any time.
const PERCENT_OLD: u8 = 80;
const PERCENT_OVER: u8 = 100;

/// Judges the age of the memory that holds a folder.
pub fn wear(state_dir: &Path) -> Finding {
    let device = std::fs::metadata(state_dir).map(|found| found.dev());
    match device.ok().and_then(|device| used_up(Path::new(DEVICES), device)) {
        None => Finding::good("wear", said!("box_check.wear_unknown")),
        Some(percent) => judge(percent),
    }
}

fn judge(percent: u8) -> Finding {
    let said = said!("box_check.wear", percent);
    match percent {
        PERCENT_OVER.. => Finding::bad("wear", said!("box_check.worn"), said!("box_check.mend_wear")),
        PERCENT_OLD.. => Finding::doubtful("wear", said, said!("box_check.mend_wear")),
        _ => Finding::good("wear", said),
    }
}

/// The used-up part of a device's life in percent, in steps of ten; `None` where it does not tell.
fn used_up(devices: &Path, device: u64) -> Option<u8> {
    let numbers = format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
    let found = devices.join(numbers).canonicalize().ok()?;
    // A partition lies in the folder of its device.
    let places: [PathBuf; 2] = [found.join(LIFE_TIME), found.parent()?.join(LIFE_TIME)];
    let text = places.iter().find_map(|place| std::fs::read_to_string(place).ok())?;
    steps(&text).map(|step| step.saturating_mul(10).min(PERCENT_OVER))
}

/// The older of the two kinds of cells: 1 for up to a tenth of its life, 10 for all of it, 11 for more.
fn steps(text: &str) -> Option<u8> {
    let step = |word: &str| u8::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    text.split_whitespace().filter_map(step).filter(|step| (1..=11).contains(step)).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::box_check::finding::Grade;

    #[test]
    fn the_older_cells_count() {
        let check = |text: &str, expected: Option<u8>| assert_eq!(steps(text), expected, "{text}");
        check("0x01 0x03\n", Some(3));
        check("0x0b 0x01\n", Some(11));
        check("0x00 0x00\n", None);
        check("0xff 0x02\n", Some(2));
        check("", None);
        check("new", None);
    }

    #[test]
    fn a_partition_is_as_old_as_its_device() {
        let sys = tempfile::tempdir().unwrap();
        let partition = sys.path().join("mmcblk0/mmcblk0p2");
        std::fs::create_dir_all(&partition).unwrap();
        let device = sys.path().join("mmcblk0/device");
        std::fs::create_dir(&device).unwrap();
        std::fs::write(device.join("life_time"), "0x04 0x09\n").unwrap();
        std::os::unix::fs::symlink(&partition, sys.path().join("179:2")).unwrap();
        let number = |minor| nix::sys::stat::makedev(179, minor);
        assert_eq!(used_up(sys.path(), number(2)), Some(90));
        assert_eq!(used_up(sys.path(), number(3)), None);
    }

    #[test]
    fn a_worn_memory_is_bad_and_an_old_one_doubtful() {
        let check = |percent: u8, expected: Grade| assert_eq!(judge(percent).grade, expected, "{percent}");
        check(10, Grade::Good);
        check(70, Grade::Good);
        check(80, Grade::Doubtful);
        check(90, Grade::Doubtful);
        check(100, Grade::Bad);
    }
}
