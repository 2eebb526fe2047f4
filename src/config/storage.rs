//! Where objects lie and how: `[archive] objects`, `[s3]`, `[tier]`, `[encryption]`.

use super::Config;
use anyhow::{Context, Result, bail};
use archive::store::{self, Secret};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `[s3]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct S3 {
    /// URL of the service; Amazon's in the region when missing.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    pub(crate) access_key: Secret,
    pub(crate) secret_key: Secret,
    pub(crate) path_style: bool,
    pub(crate) allow_http: bool,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) read_back: bool,
}

/// `[tier]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tier {
    /// `s3://BUCKET/PREFIX` that older objects move to.
    pub(crate) s3: Option<String>,
    pub(crate) after_days: u32,
    pub(crate) keep_local_gb: u64,
}

/// `[encryption]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Encryption {
    pub(crate) cipher: Option<String>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) key_command: Option<String>,
}

impl Default for S3 {
    fn default() -> Self {
        S3 {
            endpoint: None,
            region: "us-east-1".into(),
            access_key: Secret::default(),
            secret_key: Secret::default(),
            path_style: true,
            allow_http: false,
            ca_file: None,
            read_back: false,
        }
    }
}

/// The folder of the object store on this machine; with all objects in a bucket, of those on their way there.
pub(super) fn folder(config: &Config) -> Result<PathBuf> {
    let objects = &config.archive.objects;
    if objects.starts_with("s3://") {
        return Ok(config.archive.data_dir.join("outgoing"));
    }
    match objects.strip_prefix("file:") {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => bail!("[archive] objects = {objects:?}: write file:PATH or s3://BUCKET/PREFIX"),
    }
}

/// Everything that the store wants to know beside its folder.
pub(super) fn settings(config: &Config) -> Result<store::Settings> {
    let objects = &config.archive.objects;
    let tier = &config.tier;
    let remote = match (&tier.s3, objects.starts_with("s3://")) {
        (Some(_), true) => {
            bail!("[tier] s3: the objects lie in a bucket already ([archive] objects = {objects:?})")
        }
        (None, false) => None,
        (None, true) => Some(store::Remote {
            s3: bucket(config, objects).context("[archive] objects")?,
            tier: None,
        }),
        (Some(url), false) => {
            if tier.after_days == 0 && tier.keep_local_gb == 0 {
                bail!("[tier] s3 = {url:?}: set after_days or keep_local_gb, else nothing would move");
            }
            Some(store::Remote {
                s3: bucket(config, url).context("[tier] s3")?,
                tier: Some(store::Tier {
                    after_days: tier.after_days,
                    keep_local_gb: tier.keep_local_gb,
                }),
            })
        }
    };
    Ok(store::Settings {
        remote,
        encryption: encryption(&config.encryption)?,
        journal_mib: config.archive.journal_mib,
        scrub_days: config.archive.scrub_days,
    })
}

fn bucket(config: &Config, url: &str) -> Result<store::S3> {
    let (bucket, prefix) = store::S3::split_url(url)?;
    let s3 = &config.s3;
    for (key, word) in [("access_key", &s3.access_key), ("secret_key", &s3.secret_key)] {
        if word.reveal().is_empty() {
            bail!("[s3] {key} is missing");
        }
    }
    Ok(store::S3 {
        bucket,
        prefix,
        endpoint: s3.endpoint.clone(),
        region: s3.region.clone(),
        access_key: s3.access_key.clone(),
        secret_key: s3.secret_key.clone(),
        path_style: s3.path_style,
        allow_http: s3.allow_http,
        ca_file: s3.ca_file.clone(),
        read_back: s3.read_back,
    })
}

fn encryption(config: &Encryption) -> Result<Option<store::Encryption>> {
    let keys = match (&config.key_file, &config.key_command) {
        (Some(_), Some(_)) => bail!("[encryption] key_file and key_command: set one of them"),
        (Some(path), None) => store::KeySource::File(path.clone()),
        (None, Some(command)) => store::KeySource::Command(command.clone()),
        (None, None) if config.cipher.is_some() => {
            bail!(
                "[encryption] cipher needs a key: set key_file (make one with gongying admin key create FILE) or key_command"
            )
        }
        (None, None) => return Ok(None),
    };
    let cipher = config
        .cipher
        .as_deref()
        .map(str::parse::<store::Cipher>)
        .transpose();
    Ok(Some(store::Encryption {
        cipher: cipher.context("[encryption] cipher")?,
        keys,
    }))
}
