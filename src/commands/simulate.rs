//! `loaxa simulate`: years of a box in a second, by the code that airs.

use std::process::ExitCode;
use std::thread;

use super::language::{Outcome, tell};
#[cfg(feature = "central")]
use super::simulate_fleet;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::decide::simulation::run::{Verdict, live, shrink};
use loaxa_heart::decide::simulation::scenario::{self, Happening};
use loaxa_heart::domain::time::Span;
use loaxa_heart::said;
use loaxa_heart::texts::Sentence;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[cfg(feature = "central")]
    #[command(subcommand)]
    what: Option<What>,
    #[arg(long, default_value_t = 1.0)]
    years: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    #[arg(long)]
    calm: bool,
}

/// Other things to simulate than the life of a box.
#[cfg(feature = "central")]
#[derive(clap::Subcommand)]
enum What {
    Fleet(simulate_fleet::Args),
}

pub fn run(args: Args) -> Outcome {
    #[cfg(feature = "central")]
    if let Some(What::Fleet(args)) = &args.what {
        return simulate_fleet::run(args);
    }
    if !(args.years > 0.0 && args.years <= 100.0) {
        return Err(said!("simulate.years").into());
    }
    let length = Span((args.years * 365.25 * 86_400e6) as u64);
    let began = monotonic();
    let lives = live_all(&args, length);
    let took = monotonic().since(began);
    let sum = |of: fn(&Verdict) -> u64| lives.iter().map(|(_, verdict)| of(verdict)).sum::<u64>();
    tell!(
        "simulate.done",
        lives = args.seeds,
        years = args.years,
        first = args.seed,
        last = args.seed + args.seeds - 1,
        plays = sum(|verdict| verdict.plays),
        judged = sum(|verdict| verdict.judged),
        entries = sum(|verdict| verdict.entries),
        seconds = Sentence::decimal(took.as_secs_f64(), 2)
    );
    let failing: Vec<_> =
        lives.iter().filter_map(|(seed, verdict)| Some((*seed, verdict.broken.first()?))).collect();
    for (seed, broken) in &failing {
        tell!("simulate.broken", seed = *seed, rule = broken.rule, detail = broken.detail);
    }
    let Some((seed, broken)) = failing.first().copied() else {
        tell!("simulate.kept");
        return Ok(ExitCode::SUCCESS);
    };
    tell!("simulate.shortest", seed);
    for happening in shrink(&happenings(&args, seed, length), length, broken.rule) {
        println!("  {:>12.3} s  {:?}", happening.at.as_secs_f64(), happening.what);
    }
    Ok(ExitCode::FAILURE)
}

fn happenings(args: &Args, seed: u64, length: Span) -> Vec<Happening> {
    if args.calm { scenario::calm(seed, length) } else { scenario::faulty(seed, length) }
}

/// Lives through all seeds, on all cores.
fn live_all(args: &Args, length: Span) -> Vec<(u64, Verdict)> {
    let workers =
        thread::available_parallelism().map_or(1, |cores| cores.get() as u64).min(args.seeds.max(1));
    let share = |worker: u64| {
        let seeds = (args.seed..args.seed + args.seeds).filter(move |seed| seed % workers == worker);
        seeds.map(|seed| (seed, live(&happenings(args, seed, length), length))).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|worker| scope.spawn(move || share(worker))).collect();
        let lives =
            handles.into_iter().flat_map(|handle| handle.join().expect("a simulated life does not panic"));
        lives.collect()
    })
}
