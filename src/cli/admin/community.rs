//! Institutions, people and tokens.

use super::Place;
use crate::node::Node;
use crate::output;
use anyhow::{Context, Result, bail};
use archive::InstitutionId;
use archive::institution::NewInstitution;
use clap::Subcommand;
use reading::account::{NewAccount, NewToken};
use reading::recognition::{self, EVERY_ITEM, Scope};
use reading::{Role, Roles};
use std::io::BufRead;

#[derive(Subcommand, Debug)]
pub(crate) enum Institution {
    /// Add an institution.
    #[command(
        after_help = "Example: gongying admin institution create --code XISHAN --name 西山镇卫生院 --english \"Xishan Township Hospital\" --kind township_hospital --config node.toml"
    )]
    Create {
        /// Short unique code: letters, digits, _ and -.
        #[arg(long)]
        code: String,
        /// Name in Chinese.
        #[arg(long)]
        name: String,
        /// Name in English; the code when missing.
        #[arg(long)]
        english: Option<String>,
        /// county_hospital, tcm_hospital, township_hospital or village_clinic.
        #[arg(long)]
        kind: String,
        /// Codes of the reading centres that read for it.
        #[arg(long, value_delimiter = ',')]
        read_by: Vec<String>,
        /// Its results carry the recognition mark of the county.
        #[arg(long)]
        recognised: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Show all institutions.
    #[command(after_help = "Example: gongying admin institution list --data ./data")]
    List {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum User {
    /// Add an account; the password is read from standard input.
    #[command(
        after_help = "Example: gongying admin user create --user wang.fang --name 王芳 --role radiology_writer --institution QHRM --config node.toml < password.txt"
    )]
    Create {
        #[arg(long)]
        user: String,
        /// Name as it stands on reports.
        #[arg(long)]
        name: String,
        /// technician, radiology_writer, radiology_reviewer, ecg_writer, ecg_reviewer, clinician, county_admin,
        /// security_admin or auditor; several with commas.
        #[arg(long, value_delimiter = ',', required = true)]
        role: Vec<String>,
        /// Code of the institution.
        #[arg(long)]
        institution: String,
        #[command(flatten)]
        place: Place,
    },
    /// Set a password, read from standard input, and end a lock.
    #[command(
        after_help = "Example: gongying admin user password --user wang.fang --config node.toml < password.txt"
    )]
    Password {
        #[arg(long)]
        user: String,
        #[command(flatten)]
        place: Place,
    },
    /// Show all accounts.
    #[command(after_help = "Example: gongying admin user list --data ./data")]
    List {
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Token {
    /// Make a bearer token and print it, once.
    #[command(
        after_help = "Example: gongying admin token create --role device --institution HEXI --name \"河西 网关\" --config node.toml"
    )]
    Create {
        #[arg(long)]
        role: String,
        /// Code of the institution; the first one when missing.
        #[arg(long)]
        institution: Option<String>,
        /// What it is for; stands in the audit trail.
        #[arg(long, default_value = "token")]
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

impl Institution {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Institution::Create {
                code,
                name,
                english,
                kind,
                read_by,
                recognised,
                place,
            } => {
                let node = place.open().await?;
                let name_en = english.unwrap_or_else(|| code.clone());
                let centres = ids(&node, &read_by).await?;
                let new = NewInstitution {
                    code,
                    name_zh: name,
                    name_en,
                    kind: kind.parse()?,
                };
                let made = node.archive.institutions().create(new).await?;
                for centre in centres {
                    reading::access::agree(&node.reading, centre, made.id, None).await?;
                }
                if recognised {
                    recognition::grant(&node.reading, made.id, EVERY_ITEM, Scope::County).await?;
                }
                output::line(&format!("{} {}", made.code, made.name_zh))
            }
            Institution::List { place } => {
                let node = place.open().await?;
                for i in node.archive.institutions().list().await? {
                    output::line(&format!(
                        "{:16} {:18} {} / {}",
                        i.code,
                        i.kind.as_str(),
                        i.name_zh,
                        i.name_en
                    ))?;
                }
                Ok(())
            }
        }
    }
}

impl User {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            User::Create {
                user,
                name,
                role,
                institution,
                place,
            } => {
                let node = place.open().await?;
                let institution_id = id(&node, &institution).await?;
                let roles = roles(&role)?;
                let new = NewAccount {
                    user: user.clone(),
                    display_name: name,
                    institution_id,
                    roles,
                    password: password()?,
                };
                node.reading.create_account(new).await?;
                output::line(&format!("{user} may log in"))
            }
            User::Password { user, place } => {
                let node = place.open().await?;
                node.reading.set_password(&user, &password()?).await?;
                output::line(&format!("{user} has a new password"))
            }
            User::List { place } => {
                let node = place.open().await?;
                node.reading
                    .accounts()
                    .await?
                    .iter()
                    .try_for_each(|account| output::line(&serde_json::to_string(account)?))
            }
        }
    }
}

impl Token {
    pub(super) async fn run(self) -> Result<()> {
        let Token::Create {
            role,
            institution,
            name,
            place,
        } = self;
        let node = place.open().await?;
        let institution_id = match institution {
            Some(code) => id(&node, &code).await?,
            None => {
                node.archive
                    .institutions()
                    .list()
                    .await?
                    .first()
                    .context("there is no institution yet; create one first")?
                    .id
            }
        };
        let new = NewToken {
            name,
            roles: roles(&[role])?,
            institution_id,
            expires_at: None,
        };
        let token = reading::account::create_token(&node.reading, new).await?;
        output::line(&token)
    }
}

pub(super) async fn id(node: &Node, code: &str) -> Result<InstitutionId> {
    let found = node.archive.institutions().by_code(code).await;
    Ok(found
        .with_context(|| format!("institution {code}: see gongying admin institution list"))?
        .id)
}

async fn ids(node: &Node, codes: &[String]) -> Result<Vec<InstitutionId>> {
    let mut out = Vec::with_capacity(codes.len());
    for code in codes {
        out.push(id(node, code).await?);
    }
    Ok(out)
}

fn roles(words: &[String]) -> Result<Roles> {
    let read = |word: &String| {
        Role::parse(word.trim()).with_context(|| format!("{word:?} is not a role; see --help"))
    };
    words.iter().map(read).collect()
}

/// The first line of standard input.
fn password() -> Result<String> {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .context("the password is read from standard input")?;
    let password = line.trim_end_matches(['\r', '\n']).to_string();
    if password.is_empty() {
        bail!("no password on standard input; write it there, for example with < password.txt");
    }
    Ok(password)
}
