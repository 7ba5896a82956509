//! Every stream that began to play.

use std::collections::HashMap;

use uuid::Uuid;

use super::code::IngestCode;
use super::events::{Ahead, Event, TRIES_MS, Told};
use super::tally::{IngestTally, IngestTask};
use super::wanted::Stream;
use super::work::Requests;
use crate::sandbox::switchboard::{Room, Switchboard};

/// So many are remembered; beyond, no more begin.
const TASKS_MAX: usize = 200_000;

#[derive(Default)]
pub(in crate::sandbox) struct Tasks {
    begun: Vec<Task>,
    /// `TaskId` to its index in `begun`.
    indexes: HashMap<String, usize>,
    /// App, room and robot to the last stream there.
    last: HashMap<(u64, String, String), usize>,
    ahead: Ahead,
    /// For the limit.
    pub(super) requests: Requests,
    /// What was refused; the rest of a tally is counted from `begun`.
    refused: IngestTally,
}

struct Task {
    told: IngestTask,
    /// When it ends by itself, unless it is stopped before.
    ends_ms: Option<i64>,
}

impl Task {
    fn plays(&self, now_ms: i64) -> bool {
        self.told.stopped_at_ms.is_none() && self.ended_ms(now_ms).is_none()
    }

    /// When it ended by itself.
    fn ended_ms(&self, now_ms: i64) -> Option<i64> {
        let is_stopped = self.told.stopped_at_ms.is_some();
        self.ends_ms.filter(|at| !is_stopped && *at <= now_ms)
    }

    /// When its call was over; one that was forgotten was so long ago.
    fn call_ended_ms(&self, switchboard: &Switchboard, now_ms: i64) -> Option<i64> {
        let ends_ms = switchboard.ends_ms(self.told.call_id);
        let ends_ms = ends_ms.unwrap_or(self.told.started_at_ms);
        (ends_ms <= now_ms).then_some(ends_ms)
    }
}

impl Tasks {
    /// Has a stream play; its `TaskId`.
    pub(super) fn start(
        &mut self,
        app: u64,
        stream: &Stream,
        switchboard: &Switchboard,
        now_ms: i64,
    ) -> Result<String, IngestCode> {
        // The type is that of API 3.0; the call knows the same room by 2 (text) or 1 (digits).
        let type_of_call = if stream.room_id_type == 0 { 2 } else { 1 };
        let (call_id, answered_at_ms) =
            match switchboard.room(app, &stream.room_id, type_of_call, now_ms) {
                Room::Alive {
                    call_id,
                    answered_ms,
                } => (call_id, answered_ms),
                Room::Ringing => {
                    self.refused.before_answer += 1;
                    return Err(IngestCode::ROOM_NOT_EXIST);
                }
                Room::Over => {
                    self.refused.after_end += 1;
                    return Err(IngestCode::ROOM_NOT_EXIST);
                }
                Room::Unknown => {
                    self.refused.without_room += 1;
                    return Err(IngestCode::ROOM_NOT_EXIST);
                }
            };
        let place = (app, stream.room_id.clone(), stream.user_id.clone());
        let last = self.last.get(&place);
        if last.is_some_and(|index| self.begun[*index].plays(now_ms)) {
            self.refused.doubled += 1;
            return Err(IngestCode::TASK_EXIST);
        }
        if self.begun.len() >= TASKS_MAX {
            return Err(IngestCode::NO_ROOM_LEFT);
        }
        // With the marks that Tencent's own have.
        let task_id = format!("-{}_..", Uuid::new_v4().simple());
        let index = self.begun.len();
        self.indexes.insert(task_id.clone(), index);
        self.last.insert(place, index);
        let ends_ms = if stream.fails() {
            for after_ms in TRIES_MS {
                self.ahead.add(now_ms + after_ms, index, Event::Failed);
            }
            TRIES_MS.last().map(|last_ms| now_ms + last_ms)
        } else {
            self.ahead.add(now_ms, index, Event::Started);
            let ends_ms = stream.ends_ms(now_ms);
            if let Some(ends_ms) = ends_ms {
                self.ahead.add(ends_ms, index, Event::Ended);
            }
            ends_ms
        };
        self.begun.push(Task {
            ends_ms,
            told: IngestTask {
                task_id: task_id.clone(),
                sdk_app_id: app,
                call_id,
                room_id: stream.room_id.clone(),
                user_id: stream.user_id.clone(),
                stream_url: stream.url.clone(),
                repeat: stream.repeat,
                max_minutes: stream.max_minutes,
                volume: stream.volume,
                answered_at_ms,
                started_at_ms: now_ms,
                stopped_at_ms: None,
                ended_at_ms: None,
                call_ended_at_ms: None,
            },
        });
        Ok(task_id)
    }

    /// Stops a stream.
    pub(super) fn stop(&mut self, app: u64, task_id: &str, now_ms: i64) -> Result<(), IngestCode> {
        let index = self.find(app, task_id);
        let index = index.ok_or(IngestCode::TASK_NOT_EXIST)?;
        let task = &mut self.begun[index];
        if !task.plays(now_ms) {
            return Err(IngestCode::TASK_FINISHED);
        }
        task.told.stopped_at_ms = Some(now_ms);
        self.ahead.add(now_ms, index, Event::Stopped);
        Ok(())
    }

    /// What has happened by now and is to be told, in its order.
    pub(in crate::sandbox) fn take_event(&mut self, now_ms: i64) -> Option<Told> {
        loop {
            let (at_ms, number, index, event) = self.ahead.take(now_ms)?;
            let task = &self.begun[index].told;
            // What would have come after it was stopped does not come.
            let is_cut = event != Event::Stopped && task.stopped_at_ms.is_some_and(|at| at < at_ms);
            if !is_cut {
                return Some(Told {
                    app: task.sdk_app_id,
                    at_ms,
                    number,
                    body: event.body(&task.task_id, at_ms),
                });
            }
        }
    }

    /// When the next thing is to be told.
    pub(in crate::sandbox) fn next_event_ms(&self) -> Option<i64> {
        self.ahead.next_ms()
    }

    /// Whether a stream plays.
    pub(super) fn plays(&self, app: u64, task_id: &str, now_ms: i64) -> bool {
        let index = self.find(app, task_id);
        index.is_some_and(|index| self.begun[index].plays(now_ms))
    }

    /// Every stream as it stands now, in the order in which they began.
    pub(in crate::sandbox) fn list<'a>(
        &'a self,
        switchboard: &'a Switchboard,
        now_ms: i64,
    ) -> impl Iterator<Item = IngestTask> + 'a {
        self.begun.iter().map(move |task| IngestTask {
            ended_at_ms: task.ended_ms(now_ms),
            call_ended_at_ms: task.call_ended_ms(switchboard, now_ms),
            ..task.told.clone()
        })
    }

    /// Asked after every request by whoever waits for something, so it copies nothing.
    pub(in crate::sandbox) fn tally(&self, switchboard: &Switchboard, now_ms: i64) -> IngestTally {
        let mut tally = self.refused;
        for task in &self.begun {
            let call_ended = task.call_ended_ms(switchboard, now_ms);
            tally.count(&task.told, task.ended_ms(now_ms), call_ended);
        }
        tally
    }

    fn find(&self, app: u64, task_id: &str) -> Option<usize> {
        let index = *self.indexes.get(task_id)?;
        (self.begun[index].told.sdk_app_id == app).then_some(index)
    }
}
