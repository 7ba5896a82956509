//! The exploration itself: breadth first, every order of every step, so that a counterexample is a
//! shortest one.

use std::collections::{BTreeSet, HashSet};

use stateright::{Checker, HasDiscoveries, Model, Path, Property};

use super::actions::Action;
use super::promises::{self, Promise};
use super::setting::Setting;
use super::state::{Job, State};

/// Two cores, as continuous integration has.
const THREADS: usize = 2;

impl Model for Setting {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.jobs, self.deadline)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.steps(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.step(state, &action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::properties(self)
    }
}

/// Every promise holds in every state that can be reached, and everything worth seeing is seen.
pub(crate) fn holds(setting: &Setting) -> usize {
    let checker = setting
        .clone()
        .checker()
        .threads(THREADS)
        .spawn_bfs()
        .join();
    println!(
        "{setting}: {} states, {} steps deep",
        checker.unique_state_count(),
        checker.max_depth()
    );
    let discoveries = checker.discoveries();
    for property in setting.properties() {
        let found = discoveries.get(property.name).cloned();
        match (property.expectation.discovery_is_failure(), found) {
            (true, Some(path)) => panic!("{}", told(setting, property.name, path)),
            (false, None) => panic!("{setting}: never seen: {}", property.name),
            _ => {}
        }
    }
    assert!(checker.is_done());
    checker.unique_state_count()
}

/// Without its safeguard the setting breaks this promise; the shortest way there is printed.
pub(crate) fn finds(setting: &Setting, promise: Promise) {
    let wanted = HasDiscoveries::AllOf(BTreeSet::from([promise.says()]));
    let checker = setting
        .clone()
        .checker()
        .threads(THREADS)
        .finish_when(wanted)
        .spawn_bfs()
        .join();
    let Some(path) = checker.discovery(promise.says()) else {
        panic!(
            "{:?} breaks nothing of \"{}\" in {} states",
            setting.mutation,
            promise.says(),
            checker.unique_state_count()
        );
    };
    println!(
        "{:?}\n{}",
        setting.mutation,
        told(setting, promise.says(), path)
    );
}

/// A path, readable: each step, and the rows after it.
fn told(setting: &Setting, what: &str, path: Path<State, Action>) -> String {
    let mut lines = vec![format!("{setting}\ndoes not keep: {what}")];
    for (number, (state, action)) in path.into_vec().into_iter().enumerate() {
        let rows: Vec<String> = state.jobs.iter().map(ToString::to_string).collect();
        let then = action.map_or_else(|| "(here)".to_owned(), |action| action.to_string());
        lines.push(format!(
            "{:>3}. {:<60} {}",
            number + 1,
            rows.join(" | "),
            then
        ));
    }
    lines.join("\n")
}

/// The same, and the exploration comes to a job like this.
pub(crate) fn comes_to(what: &str, setting: &Setting, seen: fn(&Job) -> bool) {
    holds(setting);
    let there = Graph::of(setting)
        .states
        .iter()
        .any(|state| state.jobs.iter().any(seen));
    assert!(there, "{setting}: never seen: {what}");
}

/// Every state, with the step that first led there, and every step of every state.
pub(crate) struct Graph {
    pub(crate) states: Vec<State>,
    from: Vec<Option<(usize, Action)>>,
    pub(crate) steps: Vec<(usize, Action)>,
}

impl Graph {
    pub(crate) fn of(setting: &Setting) -> Self {
        let first = setting.init_states().remove(0);
        let mut graph = Self {
            states: vec![first.clone()],
            from: vec![None],
            steps: Vec::new(),
        };
        let mut known = HashSet::from([first]);
        let mut next = 0;
        while next < graph.states.len() {
            let mut steps = Vec::new();
            setting.steps(&graph.states[next], &mut steps);
            for action in steps {
                let after = setting.step(&graph.states[next], &action);
                if known.insert(after.clone()) {
                    graph.states.push(after);
                    graph.from.push(Some((next, action.clone())));
                }
                graph.steps.push((next, action));
            }
            next += 1;
        }
        graph
    }

    /// A shortest way to a state.
    pub(crate) fn way_to(&self, state: usize) -> Vec<Action> {
        let mut way = Vec::new();
        let mut at = state;
        while let Some((before, action)) = &self.from[at] {
            way.push(action.clone());
            at = *before;
        }
        way.reverse();
        way
    }
}
