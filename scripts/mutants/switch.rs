

/// Tells whether a fault is planted. Where `LOAXA_FAULT_REACHED` names a folder, notes there that the running test met it.
pub fn planted(name: &'static str) -> bool {
    static ON: std::sync::OnceLock<(Option<String>, Option<String>)> = std::sync::OnceLock::new();
    let (on, reached) = ON.get_or_init(|| {
        let folder = std::env::var("LOAXA_FAULT_REACHED").ok();
        let test = |part: &str| std::env::var(part).unwrap_or_default().replace('/', "_");
        let file = folder.map(|folder| {
            format!("{folder}/{}@{}.{}", test("NEXTEST_BINARY_ID"), test("NEXTEST_TEST_NAME"), std::process::id())
        });
        (std::env::var("LOAXA_FAULT").ok(), file)
    });
    if let Some(file) = reached {
        thread_local! {
            static MET: std::cell::RefCell<std::collections::HashSet<usize>> = std::cell::RefCell::default();
        }
        let is_new = MET.try_with(|met| met.borrow_mut().insert(name.as_ptr() as usize)).unwrap_or(true);
        if is_new {
            use std::io::Write;
            let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
            opened.and_then(|mut file| file.write_all(format!("{name}\n").as_bytes())).unwrap_or_default();
        }
    }
    on.as_deref() == Some(name)
}
