//! The queue: work that survives whatever happens to the process.
//!
//! `queued -> leased -> succeeded | queued (later) | dead | cancelled`, and `dead -> queued` by an
//! admin. A claim is one short transaction, nothing is held open while work runs, and work is
//! finished only by whoever holds its lease. The attempt counts when it is claimed, so that
//! a crash counts.

use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{OrNotFound, Result, StoreError};
use crate::server::clock::SECOND;
use crate::server::identity::Tenant;

/// How often the server may die over a document before the document is held to be the reason.
pub(crate) const INTERRUPTIONS: u32 = 8;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Makes a document searchable.
    Ingest,
    /// Takes the remains of a deleted document away.
    Erase,
    /// Tells an organisation's webhook.
    Webhook,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Erase => "erase",
            Self::Webhook => "webhook",
        }
    }

    pub(crate) fn of(name: &str) -> Self {
        match name {
            "ingest" => Self::Ingest,
            "erase" => Self::Erase,
            _ => Self::Webhook,
        }
    }

    pub(crate) fn dedupe_key(self, document: Uuid) -> String {
        format!("{}:{document}", self.name())
    }
}

/// The organisation of a stored row. Only this folder makes one, so a
/// [`Tenant`] made from it goes back to a request that was authenticated when the row was
/// written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Owner(Uuid);

impl Owner {
    pub(super) fn of_row(organisation: Uuid) -> Self {
        Self(organisation)
    }

    pub(crate) fn organisation(self) -> Uuid {
        self.0
    }
}

/// Work that a worker holds the lease of.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: Uuid,
    pub(crate) owner: Owner,
    pub(crate) kind: Kind,
    pub(crate) payload: String,
    /// From 1.
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) lease_id: Uuid,
}

pub(crate) struct NewJob {
    kind: Kind,
    payload: String,
    dedupe_key: Option<String>,
    max_attempts: u32,
    delay_ms: i64,
}

impl NewJob {
    pub(crate) fn ingest(document: Uuid) -> Self {
        Self {
            kind: Kind::Ingest,
            payload: document.to_string(),
            dedupe_key: Some(Kind::Ingest.dedupe_key(document)),
            max_attempts: 3,
            delay_ms: 0,
        }
    }

    pub(crate) fn erase(document: Uuid) -> Self {
        Self {
            kind: Kind::Erase,
            payload: document.to_string(),
            dedupe_key: Some(Kind::Erase.dedupe_key(document)),
            // Whatever is in the way, an erasure is not given up.
            max_attempts: u32::MAX,
            // The caller erases at once; the queue sweeps up behind it.
            delay_ms: 3000,
        }
    }

    fn webhook(body: String) -> Self {
        Self {
            kind: Kind::Webhook,
            payload: body,
            dedupe_key: None,
            max_attempts: 8,
            delay_ms: 0,
        }
    }
}

/// Queues work. A live job with the same key stands for both.
pub(crate) fn insert(c: &Connection, tenant: &Tenant, new: &NewJob, now: i64) -> Result<Uuid> {
    let id = Uuid::new_v4();
    c.prepare_cached(
        "INSERT INTO jobs (id, organisation, kind, payload, dedupe_key, state, max_attempts,
                           run_ms, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, 'queued', ?6, ?7, ?8)
         ON CONFLICT DO NOTHING",
    )?
    .execute(params![
        id,
        tenant.id(),
        new.kind.name(),
        new.payload,
        new.dedupe_key,
        new.max_attempts,
        now.saturating_add(new.delay_ms),
        now
    ])?;
    Ok(id)
}

/// Queues a word to the organisation's webhook, where it has one.
pub(crate) fn announce(
    c: &Connection,
    tenant: &Tenant,
    event: &str,
    document: Uuid,
    now: i64,
) -> Result<()> {
    if super::organisations::get(c, tenant)?.webhook_url.is_none() {
        return Ok(());
    }
    let d = super::documents::get(c, tenant, document)?;
    let body = serde_json::json!({
        "id": Uuid::new_v4(),
        "event": event,
        "created_at": crate::server::clock::rfc3339(now),
        "data": {
            "document_id": d.id,
            "filename": d.filename,
            "status": d.status,
            "chunks_count": d.chunks,
            "error_code": d.error_code,
            "error_message": d.error_message,
        },
    });
    insert(c, tenant, &NewJob::webhook(body.to_string()), now)?;
    Ok(())
}

/// Takes the next job of `kind`, in turn between organisations, none of which has more than
/// `cap` at a time. An expired lease counts as a failed attempt.
pub(crate) fn claim(
    c: &Connection,
    kind: Kind,
    cap: u32,
    now: i64,
    lease_until: i64,
) -> Result<Option<Job>> {
    let lease_id = Uuid::new_v4();
    let job = c
        .prepare_cached(
            "UPDATE jobs SET state = 'leased', attempt = attempt + 1, lease_id = ?4,
                lease_until_ms = ?5
             WHERE id = (
                SELECT j.id FROM jobs j
                LEFT JOIN turns t ON t.organisation = j.organisation
                WHERE j.kind = ?1
                  AND (j.state = 'queued' AND j.run_ms <= ?3
                       OR j.state = 'leased' AND j.lease_until_ms <= ?3)
                  AND (SELECT count(*) FROM jobs r
                       WHERE r.organisation = j.organisation AND r.kind = ?1
                         AND r.state = 'leased' AND r.lease_until_ms > ?3) < ?2
                ORDER BY ifnull(t.served, 0), j.run_ms, j.created_ms
                LIMIT 1)
             RETURNING id, organisation, kind, payload, attempt, max_attempts, lease_id",
        )?
        .query_row(params![kind.name(), cap, now, lease_id, lease_until], job)
        .optional()?;
    if let Some(job) = &job {
        c.prepare_cached(
            "INSERT INTO turns (organisation, served)
             VALUES (?1, (SELECT ifnull(max(served), 0) + 1 FROM turns))
             ON CONFLICT (organisation) DO UPDATE SET served = excluded.served",
        )?
        .execute([job.owner.0])?;
    }
    Ok(job)
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    Ok(Job {
        id: row.get(0)?,
        owner: Owner(row.get(1)?),
        kind: Kind::of(&row.get::<_, String>(2)?),
        payload: row.get(3)?,
        attempt: row.get(4)?,
        max_attempts: row.get(5)?,
        lease_id: row.get(6)?,
    })
}

/// Keeps a lease; `false` where it was lost.
pub(crate) fn renew(c: &Connection, job: &Job, lease_until: i64) -> Result<bool> {
    finish(
        c,
        job,
        "UPDATE jobs SET lease_until_ms = ?3
         WHERE id = ?1 AND lease_id = ?2 AND state = 'leased'",
        params![job.id, job.lease_id, lease_until],
    )
}

/// Hands every leased job back: for a server that has just started, and so knows that nobody
/// works. That the server died is seldom the fault of what it worked on, so the attempt does not
/// count; a job that was there each time waits longer and longer, behind others, and is given
/// up in the end.
pub(crate) fn abandon_leases(c: &Connection, now: i64) -> Result<usize> {
    c.execute(
        "UPDATE jobs SET interrupted = interrupted + 1 WHERE state = 'leased'",
        [],
    )?;
    // With its attempts used up, it is buried by whoever claims it.
    c.execute(
        "UPDATE jobs SET attempt = max_attempts + 1
         WHERE state = 'leased' AND kind = 'ingest' AND interrupted >= ?1",
        [INTERRUPTIONS],
    )?;
    Ok(c.execute(
        "UPDATE jobs SET state = 'queued', attempt = attempt - 1,
            run_ms = ?1 + ?2 * ((1 << (min(interrupted, 7) - 1)) - 1)
         WHERE state = 'leased'",
        params![now, SECOND],
    )?)
}

/// Done; `false` where the lease was lost, and what was done does not count.
pub(crate) fn succeed(c: &Connection, job: &Job, now: i64) -> Result<bool> {
    finish(
        c,
        job,
        "UPDATE jobs SET state = 'succeeded', finished_ms = ?3
         WHERE id = ?1 AND lease_id = ?2 AND state = 'leased'",
        params![job.id, job.lease_id, now],
    )
}

/// To be tried again at `run_ms`.
pub(crate) fn later(c: &Connection, job: &Job, run_ms: i64, code: &str, why: &str) -> Result<bool> {
    finish(
        c,
        job,
        "UPDATE jobs SET state = 'queued', run_ms = ?3, error_code = ?4, last_error = ?5
         WHERE id = ?1 AND lease_id = ?2 AND state = 'leased'",
        params![job.id, job.lease_id, run_ms, code, why],
    )
}

/// Given up.
pub(crate) fn bury(c: &Connection, job: &Job, now: i64, code: &str, why: &str) -> Result<bool> {
    finish(
        c,
        job,
        "UPDATE jobs SET state = 'dead', finished_ms = ?3, error_code = ?4, last_error = ?5
         WHERE id = ?1 AND lease_id = ?2 AND state = 'leased'",
        params![job.id, job.lease_id, now, code, why],
    )
}

/// Handed back by a server that goes down in order; the attempt does not count.
pub(crate) fn give_back(c: &Connection, job: &Job, now: i64) -> Result<bool> {
    finish(
        c,
        job,
        "UPDATE jobs SET state = 'queued', attempt = attempt - 1, run_ms = ?3
         WHERE id = ?1 AND lease_id = ?2 AND state = 'leased'",
        params![job.id, job.lease_id, now],
    )
}

fn finish(c: &Connection, _held: &Job, sql: &str, values: impl rusqlite::Params) -> Result<bool> {
    Ok(c.prepare_cached(sql)?.execute(values)? == 1)
}

/// Calls off the live job with this key.
pub(crate) fn cancel(c: &Connection, tenant: &Tenant, dedupe_key: &str, now: i64) -> Result<()> {
    c.execute(
        "UPDATE jobs SET state = 'cancelled', finished_ms = ?3
         WHERE organisation = ?1 AND dedupe_key = ?2 AND state IN ('queued', 'leased', 'dead')",
        params![tenant.id(), dedupe_key, now],
    )?;
    Ok(())
}

/// Jobs of one kind that an organisation has waiting.
pub(crate) fn queued(c: &Connection, tenant: &Tenant, kind: Kind) -> Result<u64> {
    Ok(c.query_row(
        "SELECT count(*) FROM jobs WHERE organisation = ?1 AND kind = ?2 AND state = 'queued'",
        params![tenant.id(), kind.name()],
        |row| row.get(0),
    )?)
}

/// A job that was given up.
#[derive(Debug, Clone)]
pub(crate) struct DeadJob {
    pub(crate) id: Uuid,
    pub(crate) kind: Kind,
    pub(crate) document: Option<Uuid>,
    pub(crate) attempts: u32,
    pub(crate) error_code: Option<String>,
    pub(crate) last_error: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) finished_ms: i64,
}

/// Jobs that were given up, newest first.
pub(crate) fn dead(
    c: &Connection,
    tenant: &Tenant,
    after: Option<(i64, Uuid)>,
    limit: usize,
) -> Result<Vec<DeadJob>> {
    let (ms, id) = after.unwrap_or((i64::MAX, Uuid::max()));
    let jobs = c
        .prepare_cached(
            "SELECT id, kind, payload, attempt, error_code, last_error, created_ms, finished_ms
             FROM jobs
             WHERE organisation = ?1 AND state = 'dead' AND (finished_ms, id) < (?2, ?3)
             ORDER BY finished_ms DESC, id DESC LIMIT ?4",
        )?
        .query_map(params![tenant.id(), ms, id, limit], |row| {
            let kind = Kind::of(&row.get::<_, String>(1)?);
            let payload: String = row.get(2)?;
            Ok(DeadJob {
                id: row.get(0)?,
                kind,
                document: payload.parse().ok(),
                attempts: row.get(3)?,
                error_code: row.get(4)?,
                last_error: row.get(5)?,
                created_ms: row.get(6)?,
                finished_ms: row.get(7)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(jobs)
}

/// Queues a dead job again, with all its attempts.
pub(crate) fn retry(c: &Connection, tenant: &Tenant, id: Uuid, now: i64) -> Result<()> {
    let (kind, payload): (String, String) = c
        .query_row(
            "SELECT kind, payload FROM jobs WHERE organisation = ?1 AND id = ?2 AND state = 'dead'",
            params![tenant.id(), id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .or_not_found("dead letter")?;
    c.execute(
        "UPDATE jobs SET state = 'queued', attempt = 0, interrupted = 0, run_ms = ?3,
            finished_ms = NULL
         WHERE organisation = ?1 AND id = ?2",
        params![tenant.id(), id, now],
    )?;
    if Kind::of(&kind) == Kind::Ingest {
        let document = payload
            .parse()
            .map_err(|_| StoreError::Corrupt(format!("job {id} names no document")))?;
        super::documents::requeued(c, tenant, document)?;
    }
    Ok(())
}

/// Takes dead jobs away: one, or all.
pub(crate) fn clear(c: &Connection, tenant: &Tenant, id: Option<Uuid>) -> Result<usize> {
    Ok(c.execute(
        "DELETE FROM jobs WHERE organisation = ?1 AND state = 'dead' AND (?2 IS NULL OR id = ?2)",
        params![tenant.id(), id],
    )?)
}

/// How much waits, of each kind.
#[derive(Debug, Clone)]
pub(crate) struct Depth {
    pub(crate) kind: Kind,
    pub(crate) queued: u64,
    pub(crate) leased: u64,
    /// When the oldest job that could run was due.
    pub(crate) oldest_ms: Option<i64>,
}

pub(crate) fn depths(c: &Connection) -> Result<Vec<Depth>> {
    let depths = c
        .prepare_cached(
            "SELECT kind, count(*) FILTER (WHERE state = 'queued'),
                    count(*) FILTER (WHERE state = 'leased'),
                    min(run_ms) FILTER (WHERE state = 'queued')
             FROM jobs WHERE state IN ('queued', 'leased') GROUP BY kind",
        )?
        .query_map([], |row| {
            Ok(Depth {
                kind: Kind::of(&row.get::<_, String>(0)?),
                queued: row.get(1)?,
                leased: row.get(2)?,
                oldest_ms: row.get(3)?,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(depths)
}

/// Takes finished jobs away that ended before `before`.
pub(crate) fn sweep(c: &Connection, before: i64) -> Result<usize> {
    Ok(c.execute(
        "DELETE FROM jobs WHERE state IN ('succeeded', 'cancelled') AND finished_ms < ?1",
        [before],
    )?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::organisations::{NewOrganisation, Quotas, Signup};
    use super::super::{Store, organisations};
    use super::*;

    fn organisation(c: &Connection, name: &str) -> Tenant {
        let id = Uuid::new_v4();
        let new = NewOrganisation {
            id,
            name: name.into(),
            client_id: format!("pk_{name}"),
            signup: Signup::Open,
            quotas: Quotas {
                documents: 1,
                users: 1,
                bytes: 1,
            },
        };
        organisations::insert(c, &new, 0).unwrap();
        Tenant::of_owner(Owner(id))
    }

    fn with(work: impl FnOnce(&Connection) -> Result<()>) {
        let dir = tempfile::tempdir().unwrap();
        Store::open(&dir.path().join("s.db"))
            .unwrap()
            .read_now(work)
            .unwrap();
    }

    #[test]
    fn organisations_take_turns_and_none_takes_all() {
        with(|c| {
            let (big, small) = (organisation(c, "big"), organisation(c, "small"));
            for _ in 0..5 {
                insert(c, &big, &NewJob::ingest(Uuid::new_v4()), 1)?;
            }
            insert(c, &small, &NewJob::ingest(Uuid::new_v4()), 2)?;
            let mut order = Vec::new();
            while let Some(job) = claim(c, Kind::Ingest, 2, 10, 100)? {
                order.push(job.owner.organisation() == small.id());
            }
            // Two of the big one at most, and the small one is not the last to be served.
            assert_eq!(order.len(), 3);
            assert!(order[0] || order[1]);
            Ok(())
        });
    }

    #[test]
    fn an_expired_lease_is_claimed_again_and_its_holder_is_told() {
        with(|c| {
            let tenant = organisation(c, "a");
            insert(c, &tenant, &NewJob::ingest(Uuid::new_v4()), 1)?;
            let first = claim(c, Kind::Ingest, 1, 10, 100)?.unwrap();
            assert!(claim(c, Kind::Ingest, 1, 50, 150)?.is_none());
            let second = claim(c, Kind::Ingest, 1, 100, 200)?.unwrap();
            assert_eq!((first.attempt, second.attempt), (1, 2));
            assert!(!succeed(c, &first, 101)? && !renew(c, &first, 300)?);
            assert!(succeed(c, &second, 101)?);
            assert!(claim(c, Kind::Ingest, 1, 500, 600)?.is_none());
            Ok(())
        });
    }

    #[test]
    fn a_server_that_dies_again_and_again_buries_only_what_is_always_there() {
        with(|c| {
            let tenant = organisation(c, "a");
            insert(c, &tenant, &NewJob::ingest(Uuid::new_v4()), 0)?;
            let mut now = 0;
            for death in 1..INTERRUPTIONS {
                let job = claim(c, Kind::Ingest, 1, now, now + 100)?.unwrap();
                assert_eq!(job.attempt, 1, "death {death}");
                assert_eq!(abandon_leases(c, now)?, 1);
                let waits = claim(c, Kind::Ingest, 1, now, now + 100)?;
                // The first time it goes on at once.
                assert_eq!(waits.is_some(), death == 1);
                if let Some(job) = waits {
                    assert!(give_back(c, &job, now)?);
                }
                now += 200 * SECOND;
            }
            claim(c, Kind::Ingest, 1, now, now + 100)?.unwrap();
            abandon_leases(c, now)?;
            now += 200 * SECOND;
            let last = claim(c, Kind::Ingest, 1, now, now + 100)?.unwrap();
            assert!(last.attempt > last.max_attempts);
            Ok(())
        });
    }

    #[test]
    fn one_document_has_one_live_job() {
        with(|c| {
            let tenant = organisation(c, "a");
            let document = Uuid::new_v4();
            for _ in 0..2 {
                insert(c, &tenant, &NewJob::ingest(document), 1)?;
            }
            let job = claim(c, Kind::Ingest, 9, 10, 100)?.unwrap();
            assert!(claim(c, Kind::Ingest, 9, 10, 100)?.is_none());
            assert!(give_back(c, &job, 11)?);
            assert_eq!(claim(c, Kind::Ingest, 9, 12, 100)?.unwrap().attempt, 1);
            Ok(())
        });
    }
}
