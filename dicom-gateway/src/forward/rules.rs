//! Rules: which objects and studies are sent on, to whom and when. They are read from the
//! configuration once, checked, and then decide from memory.

use std::collections::BTreeSet;
use std::time::Duration;

use archive::order::Priority;
use archive::route::{RouteFacts, RoutedLetter, Router};
use serde::{Deserialize, Serialize};

use super::schedule::{Schedule, Zone};
use super::{StoreLetter, kind, outbox_name};

/// Rules of one node at most: each object is held against all of them.
const ROUTES_MAX: usize = 1000;
/// Longest wait that a rule may ask for.
const DELAY_S_MAX: u64 = 30 * 24 * 3600;
/// ECGs overtake pictures of the same class by this much.
const WAVEFORM_PRIORITY: i64 = 25;

/// Conditions of a rule. A list holds when one of its patterns (`*`, `?`, capitals and small
/// letters alike) fits one of the values; an empty list always holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Conditions {
    /// Codes of institutions.
    pub institution: Vec<String>,
    /// Modalities, e.g. `CT`.
    pub modality: Vec<String>,
    /// Body Part Examined.
    pub body_part: Vec<String>,
    /// Priority of the order: STAT, URGENT, ROUTINE, SCREENING.
    pub priority: Vec<String>,
    /// AE titles of senders.
    pub calling_ae: Vec<String>,
    /// SOP Class UIDs.
    pub sop_class: Vec<String>,
    /// Days of the week: `mon`, `sat-sun`.
    pub days: Vec<String>,
    /// Hours of the day: `18:00-08:00`.
    pub hours: Option<String>,
}

/// When a rule acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// As soon as an object is stored.
    #[default]
    Instance,
    /// When the study is complete: its manifest says so, or no object came for a while.
    StudyComplete,
}

/// What a rule sends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The objects themselves (C-STORE).
    #[default]
    Objects,
    /// The news that the study can be fetched here (Instance Availability Notification).
    Availability,
}

/// A rule as it stands in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Name for people.
    pub name: String,
    /// All of them have to hold.
    #[serde(default, rename = "match")]
    pub conditions: Conditions,
    /// Names of destinations, or AE titles of enrolled devices that have a listener.
    pub to: Vec<String>,
    /// When it acts.
    #[serde(default)]
    pub when: When,
    /// What it sends.
    #[serde(default)]
    pub send: What,
    /// Not before this many seconds are over.
    #[serde(default)]
    pub delay_s: u64,
    /// Ask the destination to answer for the objects (storage commitment).
    #[serde(default)]
    pub commit: bool,
    /// STAT, URGENT, ROUTINE or BULK instead of the order's priority.
    #[serde(default)]
    pub priority: Option<String>,
}

/// Why rules cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("route {route:?}: {why}")]
pub struct RouteError {
    /// Name of the rule.
    pub route: String,
    /// What is wrong with it and how to mend it.
    pub why: String,
}

/// One condition held against facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Name of the condition.
    pub condition: &'static str,
    /// What the rule wants.
    pub wanted: String,
    /// What there is.
    pub found: String,
    /// Whether it holds.
    pub holds: bool,
}

/// A rule held against facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Name of the rule.
    pub route: String,
    /// All conditions hold.
    pub matches: bool,
    /// Its conditions, those that always hold left out.
    pub checks: Vec<Check>,
    /// What it does, in words.
    pub action: String,
}

struct Compiled {
    route: Route,
    schedule: Schedule,
    priority: Option<i64>,
}

/// Checked rules. The default has none.
#[derive(Default)]
pub struct RouteTable {
    routes: Vec<Compiled>,
    zone: Option<Zone>,
    /// AE titles of destinations by their names.
    titles: Vec<(String, String)>,
}

/// Priority words of orders and rules, as the outbox counts.
fn priority_of(word: &str) -> Option<i64> {
    match word.to_ascii_uppercase().as_str() {
        "STAT" => Some(Priority::Stat.job_priority()),
        "URGENT" => Some(Priority::Urgent.job_priority()),
        "ROUTINE" => Some(Priority::Routine.job_priority()),
        "BULK" | "SCREENING" => Some(Priority::Screening.job_priority()),
        _ => None,
    }
}

/// Whether a pattern with `*` and `?` fits, capitals and small letters alike. Linear in practice:
/// only the last star is gone back to.
fn fits(pattern: &str, value: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().flat_map(char::to_uppercase).collect();
    let value: Vec<char> = value.chars().flat_map(char::to_uppercase).collect();
    let (mut p, mut v, mut star) = (0, 0, None);
    while v < value.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, v));
                p += 1;
            }
            Some(c) if *c == '?' || value.get(v) == Some(c) => {
                p += 1;
                v += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    v = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

fn texts(values: &[String]) -> impl Iterator<Item = &str> {
    values.iter().map(String::as_str)
}

fn check<'a>(
    condition: &'static str,
    wanted: &[String],
    found: impl IntoIterator<Item = &'a str>,
) -> Option<Check> {
    if wanted.is_empty() {
        return None;
    }
    let found: Vec<&str> = found.into_iter().collect();
    let holds = found
        .iter()
        .any(|value| wanted.iter().any(|pattern| fits(pattern, value)));
    let shown = if found.is_empty() {
        "nothing".to_owned()
    } else {
        found.join(", ")
    };
    Some(Check {
        condition,
        wanted: wanted.join(", "),
        found: shown,
        holds,
    })
}

impl Compiled {
    fn new(route: Route) -> Result<Self, RouteError> {
        let wrong = |why: String| RouteError {
            route: route.name.clone(),
            why,
        };
        if route.name.trim().is_empty() {
            return Err(wrong("give it a name".into()));
        }
        if route.to.is_empty() {
            return Err(wrong("to is empty: name at least one destination".into()));
        }
        if route.delay_s > DELAY_S_MAX {
            return Err(wrong(format!(
                "delay_s = {}: use at most {DELAY_S_MAX}",
                route.delay_s
            )));
        }
        if route.send == What::Availability && route.when == When::Instance {
            let why = "send = \"availability\" tells of whole studies: write when = \"study_complete\"";
            return Err(wrong(why.into()));
        }
        if route.send == What::Availability && route.commit {
            return Err(wrong("commit = true belongs to send = \"objects\"".into()));
        }
        let words = "write STAT, URGENT, ROUTINE or BULK";
        for word in &route.conditions.priority {
            if priority_of(word).is_none() {
                return Err(wrong(format!("match priority {word:?}: {words}")));
            }
        }
        let priority = match &route.priority {
            Some(word) => {
                Some(priority_of(word).ok_or_else(|| wrong(format!("priority {word:?}: {words}")))?)
            }
            None => None,
        };
        let schedule = Schedule::parse(&route.conditions.days, route.conditions.hours.as_deref())
            .map_err(|why| wrong(format!("match {why}")))?;
        Ok(Self {
            route,
            schedule,
            priority,
        })
    }

    fn checks(&self, facts: &RouteFacts, zone: Zone) -> Vec<Check> {
        let wanted = &self.route.conditions;
        let priorities: Vec<String> = wanted
            .priority
            .iter()
            .map(|word| match word.to_ascii_uppercase().as_str() {
                "BULK" => "SCREENING".to_owned(),
                other => other.to_owned(),
            })
            .collect();
        let mut checks: Vec<Check> = [
            check("institution", &wanted.institution, [facts.institution.as_str()]),
            check("modality", &wanted.modality, texts(&facts.modalities)),
            check("body_part", &wanted.body_part, facts.body_part.as_deref()),
            check("priority", &priorities, [facts.priority.as_str()]),
            check("calling_ae", &wanted.calling_ae, [facts.calling.as_str()]),
            check("sop_class", &wanted.sop_class, texts(&facts.sop_classes)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !wanted.days.is_empty() || wanted.hours.is_some() {
            let hours = wanted.hours.clone().into_iter();
            checks.push(Check {
                condition: "schedule",
                wanted: wanted
                    .days
                    .iter()
                    .cloned()
                    .chain(hours)
                    .collect::<Vec<_>>()
                    .join(" "),
                found: Schedule::words(facts.at, zone),
                holds: self.schedule.holds(facts.at, zone),
            });
        }
        checks
    }

    fn letters<'a>(
        &'a self,
        facts: &'a RouteFacts,
        titles: &'a [(String, String)],
    ) -> impl Iterator<Item = RoutedLetter> + 'a {
        let class = self.priority.unwrap_or_else(|| facts.priority.job_priority());
        let priority = class + if facts.has_waveform { WAVEFORM_PRIORITY } else { 0 };
        let kind = match self.route.send {
            What::Objects => kind::STORE,
            What::Availability => kind::AVAILABILITY,
        };
        let payload = StoreLetter {
            route: self.route.name.clone(),
            study: facts.study_uid.clone(),
            commit: self.route.commit,
            round: 0,
        };
        let payload = serde_json::to_vec(&payload).unwrap_or_default();
        // what came from there is not sent back there
        let from_there = move |name: &&String| {
            let title = titles
                .iter()
                .find(|(known, _)| known == *name)
                .map_or(name.as_str(), |(_, title)| title);
            self.route.send == What::Objects && title == facts.calling
        };
        let to = self.route.to.iter().filter(move |name| !from_there(name));
        to.map(move |name| RoutedLetter {
            destination: outbox_name(name),
            kind: kind.to_owned(),
            payload: payload.clone(),
            priority,
            wait: Duration::from_secs(self.route.delay_s),
            each_object: self.route.send == What::Objects,
        })
    }

    fn action(&self) -> String {
        let route = &self.route;
        let what = match route.send {
            What::Objects => "objects",
            What::Availability => "availability",
        };
        let when = match route.when {
            When::Instance => "as each object comes",
            When::StudyComplete => "when the study is complete",
        };
        let mut words = format!("{what} to {} {when}", route.to.join(", "));
        if route.delay_s > 0 {
            words.push_str(&format!(", {} s later", route.delay_s));
        }
        if let Some(priority) = &route.priority {
            words.push_str(&format!(", as {}", priority.to_ascii_uppercase()));
        }
        if route.commit {
            words.push_str(", then storage commitment");
        }
        words
    }
}

impl RouteTable {
    /// Checks rules. `titles` are the configured destinations by name, with their AE titles.
    ///
    /// # Errors
    /// The first rule that cannot be used and why.
    pub fn new(routes: Vec<Route>, titles: Vec<(String, String)>, zone: Zone) -> Result<Self, RouteError> {
        let mut names = BTreeSet::new();
        let mut compiled = Vec::new();
        for route in routes {
            let name = route.name.clone();
            if compiled.len() >= ROUTES_MAX {
                let why = format!("a node has at most {ROUTES_MAX} routes");
                return Err(RouteError { route: name, why });
            }
            compiled.push(Compiled::new(route)?);
            if !names.insert(name.clone()) {
                let why = "another route has this name".to_owned();
                return Err(RouteError { route: name, why });
            }
        }
        Ok(Self {
            routes: compiled,
            zone: Some(zone),
            titles,
        })
    }

    /// No rules at all.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The first destination that is neither configured nor in `enrolled` (AE titles of devices
    /// with a listener), as an error.
    ///
    /// # Errors
    /// Which rule names it.
    pub fn check_destinations(&self, enrolled: &[String]) -> Result<(), RouteError> {
        for Compiled { route, .. } in &self.routes {
            for name in &route.to {
                let known = self.titles.iter().any(|(known, _)| known == name) || enrolled.contains(name);
                if !known {
                    return Err(RouteError {
                        route: route.name.clone(),
                        why: format!(
                            "unknown destination {name:?}: add a [[destination]] with this name, or enrol a device with this AE title and a listener"
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    fn zone(&self) -> Zone {
        self.zone.unwrap_or(Zone::CHINA)
    }

    /// Every rule held against facts, with the reason.
    pub fn explain(&self, facts: &RouteFacts) -> Vec<Explanation> {
        let explain = |compiled: &Compiled| {
            let checks = compiled.checks(facts, self.zone());
            Explanation {
                route: compiled.route.name.clone(),
                matches: checks.iter().all(|check| check.holds),
                checks,
                action: compiled.action(),
            }
        };
        self.routes.iter().map(explain).collect()
    }

    fn decide(&self, facts: &RouteFacts, when: When) -> Vec<RoutedLetter> {
        let mut letters: Vec<RoutedLetter> = Vec::new();
        let acting = self.routes.iter().filter(|compiled| {
            compiled.route.when == when
                && compiled
                    .checks(facts, self.zone())
                    .iter()
                    .all(|check| check.holds)
        });
        for letter in acting.flat_map(|compiled| compiled.letters(facts, &self.titles)) {
            // two rules may want the same thing; the first one says how
            if !letters
                .iter()
                .any(|known| known.destination == letter.destination && known.kind == letter.kind)
            {
                letters.push(letter);
            }
        }
        letters
    }
}

impl Router for RouteTable {
    fn object(&self, facts: &RouteFacts) -> Vec<RoutedLetter> {
        self.decide(facts, When::Instance)
    }

    fn study(&self, facts: &RouteFacts) -> Vec<RoutedLetter> {
        self.decide(facts, When::StudyComplete)
    }
}
