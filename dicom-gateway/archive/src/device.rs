//! Enrolled devices: who may talk to the gateway, from where, and what they may do.

use crate::db::{Db, Row};
use crate::error::{ArchiveError, Result};
use crate::ids::{DeviceId, InstitutionId, Sha256Digest, UnixMicros};
use crate::params;
use crate::refused_caller::Gathered;
use serde::Serialize;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Devices kept in memory are read again after this time, because another process may have
/// enrolled or revoked one.
const CACHE_TIME_MAX: Duration = Duration::from_secs(1);
/// `last_seen_at` is written at most this often for each device.
const SEEN_INTERVAL: Duration = Duration::from_secs(60);
/// Longest AE title (PS3.5 6.2, VR AE).
const AE_TITLE_CHARACTERS_MAX: usize = 16;
/// Enrolled devices of one archive at most.
const DEVICES_MAX: i64 = 100_000;

crate::statements! {
    mod sql {
        INSERT = "INSERT INTO device (name, ae_title, institution_id, from_addr, may_store, may_query, may_retrieve, listener, token_hash, created_at, expires_at, certificate) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id";
        LIST = "SELECT d.id, d.name, d.ae_title, d.institution_id, d.from_addr, d.may_store, d.may_query, d.may_retrieve, d.listener, d.created_at, d.expires_at, d.revoked_at, d.last_seen_at, d.certificate FROM device d ORDER BY d.id LIMIT $1";
        BY_TOKEN = "SELECT d.id, d.name, d.ae_title, d.institution_id, d.from_addr, d.may_store, d.may_query, d.may_retrieve, d.listener, d.created_at, d.expires_at, d.revoked_at, d.last_seen_at, d.certificate FROM device d WHERE d.token_hash = $1";
        SAME_AE = "SELECT id FROM device WHERE ae_title = $1 AND revoked_at IS NULL AND COALESCE(from_addr, '') = $2";
        REVOKE = "UPDATE device SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
        SEEN = "UPDATE device SET last_seen_at = $2 WHERE id = $1";
        SET_TOKEN = "UPDATE device SET token_hash = $2 WHERE id = $1 AND revoked_at IS NULL";
    }
}

/// An enrolled device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Row.
    pub id: DeviceId,
    /// Name for people.
    pub name: String,
    /// AE title it calls with.
    pub ae_title: String,
    /// Whose device.
    pub institution_id: InstitutionId,
    /// Only address or network (`10.1.0.0/16`) it may call from.
    pub from_addr: Option<String>,
    /// May send objects.
    pub may_store: bool,
    /// May query.
    pub may_query: bool,
    /// May fetch objects.
    pub may_retrieve: bool,
    /// `host:port` where it listens (C-MOVE, storage commitment results).
    pub listener: Option<String>,
    /// When it was enrolled.
    pub created_at: UnixMicros,
    /// Not after.
    pub expires_at: Option<UnixMicros>,
    /// When it was revoked.
    pub revoked_at: Option<UnixMicros>,
    /// Last association.
    pub last_seen_at: Option<UnixMicros>,
    /// SHA-256, in hexadecimal, of the certificate that it must present by TLS.
    pub certificate: Option<String>,
}

/// A device to be enrolled.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Name for people.
    pub name: String,
    /// AE title, 1 to 16 printable ASCII characters without backslash.
    pub ae_title: String,
    /// Whose device.
    pub institution_id: InstitutionId,
    /// Only address or network it may call from.
    pub from_addr: Option<String>,
    /// May send objects.
    pub may_store: bool,
    /// May query.
    pub may_query: bool,
    /// May fetch objects.
    pub may_retrieve: bool,
    /// `host:port` where it listens.
    pub listener: Option<String>,
    /// Not after.
    pub expires_at: Option<UnixMicros>,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceRefused {
    /// No device has this AE title.
    #[error("no device with this AE title is enrolled; enrol it with `gongying admin device create`")]
    Unknown,
    /// The device may not call from this address.
    #[error("the device is enrolled for another address")]
    WrongAddress,
    /// The device must come by TLS with the certificate that it was enrolled with.
    #[error("the device is enrolled with a certificate, which the caller did not present by TLS")]
    WrongCertificate,
    /// The enrolment has ended.
    #[error("the enrolment of the device has ended")]
    Expired,
    /// The device was revoked.
    #[error("the device was revoked")]
    Revoked,
    /// The index cannot be read, so nobody is let in.
    #[error("devices cannot be looked up at the moment")]
    Unavailable,
}

fn read(row: &Row) -> Result<Device> {
    Ok(Device {
        id: DeviceId(row.int("id")?),
        name: row.text("name")?,
        ae_title: row.text("ae_title")?,
        institution_id: InstitutionId(row.int("institution_id")?),
        from_addr: row.opt_text("from_addr")?,
        may_store: row.bool("may_store")?,
        may_query: row.bool("may_query")?,
        may_retrieve: row.bool("may_retrieve")?,
        listener: row.opt_text("listener")?,
        created_at: row.micros("created_at")?,
        expires_at: row.opt_micros("expires_at")?,
        revoked_at: row.opt_micros("revoked_at")?,
        last_seen_at: row.opt_micros("last_seen_at")?,
        certificate: row.opt_text("certificate")?,
    })
}

/// Whether `ip` is `rule`, or inside it when the rule is a network.
pub fn address_fits(rule: &str, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let Some((network, bits)) = rule.split_once('/') else {
        return rule.parse::<IpAddr>().is_ok_and(|own| own.to_canonical() == ip);
    };
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else {
        return false;
    };
    match (network, ip) {
        (IpAddr::V4(n), IpAddr::V4(a)) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            u32::from(n) & mask == u32::from(a) & mask
        }
        (IpAddr::V6(n), IpAddr::V6(a)) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            u128::from(n) & mask == u128::from(a) & mask
        }
        _ => false,
    }
}

type ByAeTitle = Arc<HashMap<String, Vec<Device>>>;

#[derive(Default)]
pub(crate) struct DeviceCache {
    by_ae: Mutex<Option<(Instant, ByAeTitle)>>,
    seen: Mutex<HashMap<DeviceId, Instant>>,
    pub(crate) refused: Gathered,
}

/// The devices of an archive.
#[derive(Clone)]
pub struct Devices {
    pub(crate) db: Db,
    pub(crate) cache: Arc<DeviceCache>,
}

fn check(new: &NewDevice) -> Result<()> {
    let title = new.ae_title.trim();
    let fits = title.chars().all(|c| (' '..='~').contains(&c) && c != '\\');
    if title.is_empty() || title.len() > AE_TITLE_CHARACTERS_MAX || !fits {
        let why = "use 1 to 16 printable ASCII characters without backslash";
        return Err(ArchiveError::invalid("AE title", why));
    }
    if let Some(rule) = &new.from_addr {
        let (address, bits) = rule.split_once('/').unwrap_or((rule, "0"));
        if address.parse::<IpAddr>().is_err() || bits.parse::<u8>().is_err() {
            let why = "write an address such as 10.1.2.3 or a network such as 10.1.0.0/16";
            return Err(ArchiveError::invalid("device address", why));
        }
    }
    if let Some(listener) = &new.listener {
        let port = listener
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none_or(|port| port == 0) {
            return Err(ArchiveError::invalid("device listener", "write HOST:PORT"));
        }
    }
    Ok(())
}

impl Devices {
    /// Enrols a device.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`]; [`ArchiveError::Conflict`] when a device with this AE title and
    /// address is enrolled.
    pub async fn create(&self, new: NewDevice) -> Result<Device> {
        self.create_with_certificate(new, None).await
    }

    /// Enrols a device that must come by TLS and present the certificate with this SHA-256.
    ///
    /// # Errors
    /// As [`Devices::create`].
    pub async fn create_with_certificate(
        &self,
        new: NewDevice,
        certificate: Option<Sha256Digest>,
    ) -> Result<Device> {
        check(&new)?;
        let certificate = certificate.map(Sha256Digest::to_hex);
        let device = self
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let title = new.ae_title.trim().to_owned();
                    let from = new.from_addr.clone().unwrap_or_default();
                    if tx
                        .fetch_optional(sql::SAME_AE, params![&title, from])
                        .await?
                        .is_some()
                    {
                        return Err(ArchiveError::Conflict(format!(
                            "device {title} is enrolled already"
                        )));
                    }
                    let now = UnixMicros::now();
                    let values = params![
                        &new.name,
                        &title,
                        new.institution_id,
                        &new.from_addr,
                        new.may_store,
                        new.may_query,
                        new.may_retrieve,
                        &new.listener,
                        None::<Vec<u8>>,
                        now,
                        new.expires_at,
                        &certificate
                    ];
                    let id = tx.fetch_one(sql::INSERT, values).await?.int("id")?;
                    Ok(Device {
                        id: DeviceId(id),
                        name: new.name,
                        ae_title: title,
                        institution_id: new.institution_id,
                        from_addr: new.from_addr,
                        may_store: new.may_store,
                        may_query: new.may_query,
                        may_retrieve: new.may_retrieve,
                        listener: new.listener,
                        created_at: now,
                        expires_at: new.expires_at,
                        revoked_at: None,
                        last_seen_at: None,
                        certificate,
                    })
                })
            })
            .await?;
        self.forget();
        Ok(device)
    }

    /// All devices, in order of enrolment.
    ///
    /// # Errors
    /// What the index says.
    pub async fn list(&self) -> Result<Vec<Device>> {
        let rows = self.db.fetch_all(sql::LIST, params![DEVICES_MAX]).await?;
        rows.iter().map(read).collect()
    }

    /// Ends an enrolment for good.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is no such device, or it was revoked before.
    pub async fn revoke(&self, id: DeviceId) -> Result<()> {
        let values = params![id, UnixMicros::now()];
        let done = self
            .db
            .write(move |tx| Box::pin(async move { tx.execute(sql::REVOKE, values).await }))
            .await?;
        self.forget();
        if done == 0 {
            return Err(ArchiveError::NotFound(format!("enrolled device {id}")));
        }
        Ok(())
    }

    /// Makes a bearer token for the device (STOW-RS), replacing the one before. Only its digest is
    /// kept.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when the device is not enrolled.
    pub async fn new_token(&self, id: DeviceId) -> Result<String> {
        let mut secret = [0u8; 32];
        getrandom::fill(&mut secret)
            .map_err(|e| ArchiveError::invalid("random numbers of the system", e.to_string()))?;
        let token = format!("gyd_{}", hex::encode(secret));
        let digest = Sha256Digest::of(token.as_bytes());
        let done = self
            .db
            .write(move |tx| Box::pin(async move { tx.execute(sql::SET_TOKEN, params![id, digest]).await }))
            .await?;
        if done == 0 {
            return Err(ArchiveError::NotFound(format!("enrolled device {id}")));
        }
        Ok(token)
    }

    /// The device of a bearer token, when it is still enrolled.
    ///
    /// # Errors
    /// Why not.
    pub async fn by_token(&self, token: &str) -> Result<Device, DeviceRefused> {
        let digest = Sha256Digest::of(token.as_bytes());
        let row = self.db.fetch_optional(sql::BY_TOKEN, params![digest]).await;
        let row = row
            .map_err(|_| DeviceRefused::Unavailable)?
            .ok_or(DeviceRefused::Unknown)?;
        let device = read(&row).map_err(|_| DeviceRefused::Unavailable)?;
        still_enrolled(&device)?;
        Ok(device)
    }

    /// Whether a caller with this AE title and address is an enrolled device. Answers from memory
    /// nearly always.
    ///
    /// # Errors
    /// Why not.
    pub async fn authorise(&self, ae_title: &str, ip: IpAddr) -> Result<Device, DeviceRefused> {
        self.authorise_presenting(ae_title, ip, None).await
    }

    /// The same for a caller that came by TLS: `certificate` is the SHA-256, in hexadecimal, of
    /// the certificate whose key it proved to hold.
    ///
    /// # Errors
    /// Why not.
    pub async fn authorise_presenting(
        &self,
        ae_title: &str,
        ip: IpAddr,
        certificate: Option<&str>,
    ) -> Result<Device, DeviceRefused> {
        let by_ae = self.enrolled().await.map_err(|_| DeviceRefused::Unavailable)?;
        let named = by_ae.get(ae_title.trim()).ok_or(DeviceRefused::Unknown)?;
        let mut refused = DeviceRefused::Unknown;
        for device in named {
            if let Err(why) = still_enrolled(device) {
                refused = why;
                continue;
            }
            let address_fits = device
                .from_addr
                .as_ref()
                .is_none_or(|rule| address_fits(rule, ip));
            let certificate_fits =
                device.certificate.is_none() || device.certificate.as_deref() == certificate;
            match (address_fits, certificate_fits) {
                (true, true) => {
                    self.note_seen(device.id);
                    return Ok(device.clone());
                }
                (true, false) => refused = DeviceRefused::WrongCertificate,
                _ => refused = DeviceRefused::WrongAddress,
            }
        }
        Err(refused)
    }

    /// The enrolled device with this AE title, for sending to it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn by_ae_title(&self, ae_title: &str) -> Result<Device, DeviceRefused> {
        let by_ae = self.enrolled().await.map_err(|_| DeviceRefused::Unavailable)?;
        let named = by_ae.get(ae_title.trim()).ok_or(DeviceRefused::Unknown)?;
        let live = named.iter().filter(|d| still_enrolled(d).is_ok());
        let best = live.max_by_key(|d| (d.listener.is_some(), d.id));
        best.cloned().ok_or(DeviceRefused::Revoked)
    }

    async fn enrolled(&self) -> Result<ByAeTitle> {
        let known = self
            .cache
            .by_ae
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((at, map)) = known
            && at.elapsed() < CACHE_TIME_MAX
        {
            return Ok(map);
        }
        let mut map: HashMap<String, Vec<Device>> = HashMap::new();
        for device in self.list().await? {
            map.entry(device.ae_title.clone()).or_default().push(device);
        }
        let map = Arc::new(map);
        *self.cache.by_ae.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), map.clone()));
        Ok(map)
    }

    fn forget(&self) {
        *self.cache.by_ae.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn note_seen(&self, id: DeviceId) {
        let mut seen = self.cache.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.get(&id).is_some_and(|at| at.elapsed() < SEEN_INTERVAL) {
            return;
        }
        seen.insert(id, Instant::now());
        drop(seen);
        let db = self.db.clone();
        tokio::spawn(async move {
            let values = params![id, UnixMicros::now()];
            let noted = db.write(move |tx| Box::pin(async move { tx.execute(sql::SEEN, values).await }));
            if let Err(error) = noted.await {
                tracing::warn!(%error, device = id.0, "could not note when a device was seen");
            }
        });
    }
}

impl Device {
    /// Neither revoked nor expired.
    pub fn is_enrolled(&self) -> bool {
        still_enrolled(self).is_ok()
    }
}

fn still_enrolled(device: &Device) -> Result<(), DeviceRefused> {
    if device.revoked_at.is_some() {
        return Err(DeviceRefused::Revoked);
    }
    match device.expires_at {
        Some(end) if end <= UnixMicros::now() => Err(DeviceRefused::Expired),
        _ => Ok(()),
    }
}
