//! The reading of notices: `cargo bench --profile dev --bench speech < TEXTS` prints the reading of each line of its input, in
//! JSON as the lines are, and at last on its standard error the time that a thousand characters take.

use std::io::BufRead;
use std::time::Instant;

use loaxa_sound::tts::readable;

fn main() {
    let lines: Vec<String> = std::io::stdin().lock().lines().map_while(Result::ok).collect();
    let texts: Vec<String> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let chars: usize = texts.iter().map(|text| text.chars().count()).sum();
    let begun = Instant::now();
    let said: Vec<String> = texts.iter().map(|text| readable(text)).collect();
    let took = begun.elapsed();
    for said in said {
        println!("{}", serde_json::Value::String(said));
    }
    let each = took.as_secs_f64() * 1e6 / chars.max(1) as f64;
    eprintln!("{} texts, {chars} characters, {each:.2} ms for a thousand", texts.len());
}
