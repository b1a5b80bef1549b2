//! The memory that connections share: a server's budget, and each connection's part of it.
//!
//! A connection has a small amount of its own, for small calls, and asks for more when its messages need it. It
//! receives at most as much as is then left for all others. When the budget is short, connections with waiting
//! messages report what they lack, and the others return what they do not need and end calls that stall.
//! `docs/decisions/memory.md` explains why.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use halfclose::{Connection, Memory, Role, Time};

use crate::shared::Signal;

/// The default budget for the messages of all connections of a server: 256 MiB, so one connection can have 128 MiB.
const DEFAULT: u64 = 256 << 20;

/// The time after which a connection that was refused asks again, unless memory becomes free earlier.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// The shortest time between two notices to connections that hold memory while others lack it.
const TELL_AGAIN: Duration = Duration::from_millis(50);

/// A limit on the memory that the messages of all connections of a server hold: received messages that no handler has
/// read, parts of messages, and what is queued for sending. Clones share one budget, also across several servers.
///
/// A connection that asks for memory receives at most as much as it leaves for others, so one alone gets at most half
/// of the budget, and never more than [`Limits::memory`](halfclose::Limits::memory). Every connection has 256 KiB of
/// its own in addition, so small calls are served whatever others hold.
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
    /// A counter of changes after which refused connections ask again, and connections that hold memory check whether
    /// others need it.
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
    /// Creates a budget of `bytes` bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let accounts = Mutex::new(Accounts { total: bytes, free: bytes, ..Accounts::default() });
        Self(Arc::new(SharedAccounts { news: AtomicU64::new(0), accounts }))
    }

    /// Returns the size of the budget in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// Returns how many bytes of the budget connections hold.
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

/// What one connection holds and lacks, in bytes.
struct Account<S> {
    signal: S,
    granted: u64,
    /// Bytes queued for sending when the connection last asked for memory or returned some.
    sending: u64,
    /// Bytes that other connections should return for this one.
    lacking: u64,
    /// When the connection last asked for memory or returned some. After a long silence, what it holds has been
    /// stalled for as long.
    since: Time,
}

/// The accounts of a budget's connections, by number. It is generic over the signal that wakes a connection, for
/// tests.
struct Accounts<S = Arc<Signal>> {
    total: u64,
    free: u64,
    /// Bytes that all connections have queued for sending.
    sending: u64,
    /// Bytes that all connections lack.
    lacking: u64,
    accounts: Vec<Option<Account<S>>>,
    /// When connections that hold memory were last notified that others lack it.
    told: Option<Time>,
}

impl<S> Default for Accounts<S> {
    fn default() -> Self {
        Self { total: 0, free: 0, sending: 0, lacking: 0, accounts: Vec::new(), told: None }
    }
}

/// What an account that asked receives, and the connections to notify that memory is short.
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

    /// Closes an account and frees what it held. Returns the connections to notify.
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

    /// Gives an account what it wants, at most as much as leaves others as much as it then holds, and nothing if that
    /// is less than a waiting message needs. Bytes queued for sending get at most half of the budget, because few
    /// received bytes can cause many.
    fn ask(&mut self, number: usize, memory: Memory, now: Time) -> Given<S> {
        let free = self.free;
        let excess = self.report(number, memory.sending, now).saturating_sub(self.total / 2);
        let Some(account) = self.get_mut(number) else { return Given { bytes: 0, told: Vec::new() } };
        let wanted = memory.wanted.saturating_sub(excess).max(memory.least);
        let allowed = wanted.min(free.saturating_sub(account.granted) / 2);
        let given = if allowed < memory.least { 0 } else { allowed };
        account.granted += given;
        // An account that holds more than is left for all others has its share, and waits for none of theirs.
        let entitled = memory.waiting > 0 && given == 0 && account.granted <= free;
        let short = memory.least.saturating_mul(2).saturating_add(account.granted).saturating_sub(free);
        let lacked = std::mem::replace(&mut account.lacking, if entitled { short } else { 0 });
        self.lacking = self.lacking.saturating_sub(lacked).saturating_add(if entitled { short } else { 0 });
        self.free -= given;
        Given { bytes: given, told: if entitled { self.tell_holders(number, now) } else { Vec::new() } }
    }

    /// Records what an account has queued for sending. Returns the bytes that all accounts have queued.
    fn report(&mut self, number: usize, sending: u64, now: Time) -> u64 {
        if let Some(account) = self.get_mut(number) {
            account.since = now;
            let before = std::mem::replace(&mut account.sending, sending);
            self.sending = self.sending.saturating_sub(before).saturating_add(sending);
        }
        self.sending
    }

    /// Returns the connections to notify that memory is short; none if they were notified a moment ago.
    fn tell_holders(&mut self, number: usize, now: Time) -> Vec<S> {
        if self.told.is_some_and(|at| now - at < TELL_AGAIN) {
            return Vec::new();
        }
        self.told = Some(now);
        self.holders(number)
    }

    /// Returns the other accounts that hold part of the budget, the one that has been silent longest first.
    fn holders(&self, number: usize) -> Vec<S> {
        let others = self.accounts.iter().enumerate().filter(|(other, _)| *other != number);
        let mut holders: Vec<_> = others
            .filter_map(|(_, account)| account.as_ref())
            .filter(|account| account.granted > 0)
            .collect();
        holders.sort_by_key(|account| account.since);
        holders.into_iter().map(|account| account.signal.clone()).collect()
    }

    /// Returns the bytes that other accounts lack, or 0 if this account has nothing to return.
    fn lacking_elsewhere(&mut self, number: usize) -> u64 {
        let lacking = self.lacking;
        match self.get_mut(number) {
            Some(account) if account.granted > 0 => lacking.saturating_sub(account.lacking),
            _ => 0,
        }
    }

    /// Takes back `bytes` of what an account holds. Returns the connections to notify.
    fn give_back(&mut self, number: usize, bytes: u64, sending: u64, now: Time) -> Vec<S> {
        self.report(number, sending, now);
        let Some(account) = self.get_mut(number) else { return Vec::new() };
        let bytes = bytes.min(account.granted);
        account.granted -= bytes;
        self.freed(bytes)
    }

    /// Frees `bytes`. Returns the connections that lack memory and should ask again.
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

/// A connection's account with its budget, closed on drop.
pub(crate) struct Lease {
    budget: MemoryBudget,
    number: usize,
    /// The value of `news` that the connection saw last.
    heard: u64,
    /// When the connection was refused, and how many bytes it had asked for.
    refused: Option<(Time, u64)>,
}

impl Lease {
    /// Opens an account for a connection, which returns everything beyond its need.
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

    /// Returns whether the connection has memory to request or return, or the budget has news.
    #[inline]
    pub(crate) fn is_due<R: Role>(&self, connection: &Connection<R>) -> bool {
        !connection.is_memory_settled() || self.heard != self.budget.news()
    }

    /// Requests what the connection lacks, and returns what it can spare. Adds to `told` the signals to send once no
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

    /// Returns to the budget what the connection can spare.
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
