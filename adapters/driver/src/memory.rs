//! The memory that connections share: a server's budget, and what each of its connections has of it.
//!
//! A connection has a little of its own, for small calls, and asks for more when its messages need it; it is given at most
//! as much as is left for all others. When the budget is short, those who have to wait name what they lack, and the
//! others give back what they do not need and end calls that stall. `docs/decisions/memory.md` says why.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use halfclose::{Connection, Memory, Role, Time};

use crate::shared::Signal;

/// The memory that the messages of all connections of a server may hold by default: 256 MiB, so that one connection may
/// have 128 MiB.
const DEFAULT: u64 = 256 << 20;

/// A connection that was refused asks again after this long, unless memory came free before.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// Connections that have something are told no more often than this that others lack it.
const TELL_AGAIN: Duration = Duration::from_millis(50);

/// The memory that the messages of all connections of a server may hold: received ones that no handler has taken, parts
/// of messages, and what is queued for sending. Clones are the same budget, also for several servers.
///
/// A connection that asks is given at most as much as it leaves for others, so that one alone has half of it at most,
/// and never more than [`Limits::memory`](halfclose::Limits::memory). Every connection has 256 KiB besides, so that
/// small calls are served whatever others hold.
///
/// ```
/// use halfclose_driver::{MemoryBudget, Router};
///
/// let budget = MemoryBudget::new(64 << 20);
/// let router = Router::new().memory_budget(&budget);
/// assert_eq!((budget.total(), budget.used()), (64 << 20, 0));
/// # let _ = router;
/// ```
#[derive(Clone)]
pub struct MemoryBudget(Arc<SharedAccounts>);

struct SharedAccounts {
    /// Counts what should make those who were refused look again, and those who hold memory look whether it is wanted.
    news: AtomicU64,
    accounts: Mutex<Accounts>,
}

impl Default for MemoryBudget {
    fn default() -> Self {
        Self::new(DEFAULT)
    }
}

impl fmt::Debug for MemoryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBudget").field("total", &self.total()).field("used", &self.used()).finish()
    }
}

impl MemoryBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let accounts = Mutex::new(Accounts { total: bytes, free: bytes, ..Accounts::default() });
        Self(Arc::new(SharedAccounts { news: AtomicU64::new(0), accounts }))
    }

    /// The bytes of the budget.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// The bytes that connections have of it.
    #[must_use]
    pub fn used(&self) -> u64 {
        let accounts = self.lock();
        accounts.total.saturating_sub(accounts.free)
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn news(&self) -> u64 {
        self.0.news.load(Ordering::Acquire)
    }

    fn tell_news(&self) {
        self.0.news.fetch_add(1, Ordering::AcqRel);
    }
}

/// What one connection has, and what it lacks.
struct Account<S> {
    signal: S,
    granted: u64,
    /// What it had queued for sending when it last asked or gave.
    sending: u64,
    /// What others should give back for this one.
    lacking: u64,
    /// When it last asked or gave: whoever has been silent for long holds what has stalled for long.
    since: Time,
}

/// The accounts of a budget's connections, by number. Generic over how a connection is told, for tests.
struct Accounts<S = Arc<Signal>> {
    total: u64,
    free: u64,
    /// What all of them have queued for sending.
    sending: u64,
    /// What all of them lack.
    lacking: u64,
    accounts: Vec<Option<Account<S>>>,
    /// When those who have something were last told that others lack it.
    told: Option<Time>,
}

impl<S> Default for Accounts<S> {
    fn default() -> Self {
        Self { total: 0, free: 0, sending: 0, lacking: 0, accounts: Vec::new(), told: None }
    }
}

/// What an account that asked is given, and who is to be told that memory is short.
struct Given<S> {
    bytes: u64,
    told: Vec<S>,
}

impl<S: Clone> Accounts<S> {
    fn open(&mut self, signal: S, now: Time) -> usize {
        let account = Account { signal, granted: 0, sending: 0, lacking: 0, since: now };
        let vacant = self.accounts.iter().position(Option::is_none).unwrap_or(self.accounts.len());
        match self.accounts.get_mut(vacant) {
            Some(place) => *place = Some(account),
            None => self.accounts.push(Some(account)),
        }
        vacant
    }

    /// Ends an account; what it had is free. Who is to be told of that.
    fn close(&mut self, number: usize) -> Vec<S> {
        let account = self.accounts.get_mut(number).and_then(Option::take);
        while self.accounts.last().is_some_and(Option::is_none) {
            self.accounts.pop();
        }
        let Some(account) = account else { return Vec::new() };
        self.lacking = self.lacking.saturating_sub(account.lacking);
        self.sending = self.sending.saturating_sub(account.sending);
        self.freed(account.granted)
    }

    fn get_mut(&mut self, number: usize) -> Option<&mut Account<S>> {
        self.accounts.get_mut(number).and_then(Option::as_mut)
    }

    /// Gives an account what it wants, or as much of it as leaves others as much as it has; nothing where a message waits for
    /// more. What is queued for sending has half of the budget at most: a few bytes can ask for much of it.
    fn ask(&mut self, number: usize, memory: Memory, now: Time) -> Given<S> {
        let free = self.free;
        let excess = self.report(number, memory.sending, now).saturating_sub(self.total / 2);
        let Some(account) = self.get_mut(number) else { return Given { bytes: 0, told: Vec::new() } };
        let wanted = memory.wanted.saturating_sub(excess).max(memory.least);
        let allowed = wanted.min(free.saturating_sub(account.granted) / 2);
        let given = if allowed < memory.least { 0 } else { allowed };
        account.granted += given;
        // One that has more than is left for all others has its share: they owe it nothing.
        let entitled = memory.waiting > 0 && given == 0 && account.granted <= free;
        let short = memory.least.saturating_mul(2).saturating_add(account.granted).saturating_sub(free);
        let lacked = std::mem::replace(&mut account.lacking, if entitled { short } else { 0 });
        self.lacking = self.lacking.saturating_sub(lacked).saturating_add(if entitled { short } else { 0 });
        self.free -= given;
        Given { bytes: given, told: if entitled { self.tell_holders(number, now) } else { Vec::new() } }
    }

    /// Notes what an account has queued for sending, and tells what all of them have.
    fn report(&mut self, number: usize, sending: u64, now: Time) -> u64 {
        if let Some(account) = self.get_mut(number) {
            account.since = now;
            let before = std::mem::replace(&mut account.sending, sending);
            self.sending = self.sending.saturating_sub(before).saturating_add(sending);
        }
        self.sending
    }

    /// Who is to be told that memory is short, unless they were told a moment ago.
    fn tell_holders(&mut self, number: usize, now: Time) -> Vec<S> {
        if self.told.is_some_and(|at| now - at < TELL_AGAIN) {
            return Vec::new();
        }
        self.told = Some(now);
        self.holders(number)
    }

    /// The accounts that have something of the budget, but for one; the one that has been silent for longest first.
    fn holders(&self, number: usize) -> Vec<S> {
        let others = self.accounts.iter().enumerate().filter(|(other, _)| *other != number);
        let mut holders: Vec<_> = others
            .filter_map(|(_, account)| account.as_ref())
            .filter(|account| account.granted > 0)
            .collect();
        holders.sort_by_key(|account| account.since);
        holders.into_iter().map(|account| account.signal.clone()).collect()
    }

    /// What others lack, where this account has something to give.
    fn lacking_elsewhere(&mut self, number: usize) -> u64 {
        let lacking = self.lacking;
        match self.get_mut(number) {
            Some(account) if account.granted > 0 => lacking.saturating_sub(account.lacking),
            _ => 0,
        }
    }

    /// Takes back what an account had. Who is to be told of that.
    fn give_back(&mut self, number: usize, bytes: u64, sending: u64, now: Time) -> Vec<S> {
        self.report(number, sending, now);
        let Some(account) = self.get_mut(number) else { return Vec::new() };
        let bytes = bytes.min(account.granted);
        account.granted -= bytes;
        self.freed(bytes)
    }

    /// So many bytes are free again: those who lack some ask once more.
    fn freed(&mut self, bytes: u64) -> Vec<S> {
        self.free = self.free.saturating_add(bytes).min(self.total);
        let mut left = bytes;
        let mut told = Vec::new();
        for account in self.accounts.iter_mut().flatten() {
            if account.lacking > 0 && left > 0 {
                let covered = left.min(account.lacking);
                left -= covered;
                account.lacking -= covered;
                self.lacking = self.lacking.saturating_sub(covered);
                told.push(account.signal.clone());
            }
        }
        told
    }
}

/// A connection's account at its budget; closed when it is dropped.
pub(crate) struct Lease {
    budget: MemoryBudget,
    number: usize,
    /// The news that were heard last.
    heard: u64,
    /// Since when a refusal stands, and for how much.
    refused: Option<(Time, u64)>,
}

impl Lease {
    /// Opens an account for a connection, which gives back all that it has more than it needs.
    pub(crate) fn new<R: Role>(
        budget: &MemoryBudget,
        connection: &mut Connection<R>,
        signal: &Arc<Signal>,
        now: Time,
    ) -> Self {
        connection.take_back(u64::MAX);
        let number = budget.lock().open(Arc::clone(signal), now);
        let heard = budget.news();
        Self { budget: budget.clone(), number, heard, refused: None }
    }

    /// Returns whether there is something to ask for, to give back or to hear.
    #[inline]
    pub(crate) fn is_due<R: Role>(&self, connection: &Connection<R>) -> bool {
        !connection.is_memory_settled() || self.heard != self.budget.news()
    }

    /// Asks for what the connection lacks, and gives back what it can spare. Gives the signals that are to be told once no
    /// lock is held.
    #[cold]
    pub(crate) fn settle<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        now: Time,
        told: &mut Vec<Arc<Signal>>,
    ) {
        let news = self.budget.news();
        let is_news = std::mem::replace(&mut self.heard, news) != news;
        if is_news {
            self.refused = None;
        }
        self.ask(connection, now, told);
        let lacking = if is_news { self.budget.lock().lacking_elsewhere(self.number) } else { 0 };
        if lacking > 0 {
            connection.reclaim(now, lacking);
        }
        self.give_back(connection, now, told);
    }

    fn ask<R: Role>(&mut self, connection: &mut Connection<R>, now: Time, told: &mut Vec<Arc<Signal>>) {
        let memory = connection.memory();
        if memory.wanted == 0 {
            self.refused = None;
            return;
        }
        if self.refused.is_some_and(|(at, wanted)| now - at < ASK_AGAIN && memory.wanted <= wanted) {
            return;
        }
        let given = self.budget.lock().ask(self.number, memory, now);
        connection.grant(given.bytes);
        if given.bytes < memory.wanted {
            self.refused = Some((now, memory.wanted));
            connection.reclaim(now, 0);
        }
        if !given.told.is_empty() {
            self.budget.tell_news();
            self.heard = self.budget.news();
            told.extend(given.told);
        }
    }

    /// Gives back what the connection can spare.
    pub(crate) fn give_back<R: Role>(
        &mut self,
        connection: &mut Connection<R>,
        now: Time,
        told: &mut Vec<Arc<Signal>>,
    ) {
        let spare = connection.take_back(u64::MAX);
        if spare > 0 {
            let sending = connection.memory().sending;
            let waiting = self.budget.lock().give_back(self.number, spare, sending, now);
            if !waiting.is_empty() {
                self.budget.tell_news();
                told.extend(waiting);
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let waiting = self.budget.lock().close(self.number);
        if !waiting.is_empty() {
            self.budget.tell_news();
        }
        for signal in waiting {
            signal.tell();
        }
    }
}

#[cfg(test)]
mod tests;
