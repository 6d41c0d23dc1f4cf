//! The one validated value that a binary starts from.

use aws_config::SdkConfig;
use lab_plan::{Budget, Heading, Problem, Request, print_err};

use crate::read::check_region;
use crate::sdk::{Connection, connect};
use crate::{Clock, Home, Inquiry, Lab, LabArgs, Names, Tags, estimate, prices};

/// A lab, the Region it is in, and the way to AWS.
#[derive(Debug, Clone)]
pub struct Session {
    /// The lab, validated.
    pub lab: Lab,
    /// The names of everything in it.
    pub names: Names,
    /// The tags of everything in it.
    pub tags: Tags,
    /// The Region: the command line's, then lab.toml's, then the SDK's.
    pub region: String,
    /// For the clients of AWS's services.
    pub sdk: SdkConfig,
    /// What their answers say of the time.
    pub clock: Clock,
}

/// The way to AWS, whatever lab is asked for.
#[derive(Debug, Clone)]
pub struct Access {
    /// The Region: the command line's, then lab.toml's, then the SDK's.
    pub region: String,
    /// For the clients of AWS's services.
    pub sdk: SdkConfig,
}

impl Access {
    /// Prepares the way to AWS where no lab is asked for. Of a lab file that is there, only the Region counts, whoever
    /// its owner is. No AWS API is called.
    ///
    /// # Errors
    /// When no Region is named anywhere, or when a lab file that is named or there cannot be read: another Region would
    /// be looked at in silence.
    pub async fn open(args: &LabArgs) -> Result<Self, Problem> {
        let anyone = LabArgs { owner: Some("anyone".into()), ..args.clone() };
        let region = match &args.region {
            Some(region) => Some(region.clone()),
            None if args.has_no_lab_file() => None,
            None => anyone.read_lab()?.region,
        };
        Ok(Self::to_region(args, region.as_deref()).await?.0)
    }

    async fn to_region(args: &LabArgs, region: Option<&str>) -> Result<(Self, Clock), Problem> {
        let Connection { sdk, clock } = connect(args, region).await?;
        let Some(region) = sdk.region().map(ToString::to_string) else {
            return Err(Problem::usage("no AWS Region is named")
                .fix("pass --region us-east-1, or write `region = \"us-east-1\"` in lab.toml"));
        };
        check_region(&region)?;
        note_other_region(&region);
        Ok((Self { region, sdk }, clock))
    }

    /// Whether S3 is answered at an endpoint of one's own. No DNS knows a host name for each bucket there, so the bucket
    /// goes into the path; AWS wants it in the host name.
    pub fn has_own_s3_endpoint(&self) -> bool {
        has_own_s3_endpoint(&self.sdk)
    }
}

fn has_own_s3_endpoint(sdk: &SdkConfig) -> bool {
    sdk.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some_and(|url| !url.is_empty())
}

impl Session {
    /// Reads the lab and prepares the way to AWS. No AWS API is called.
    ///
    /// # Errors
    /// When the lab file is wrong, or when no Region is named anywhere.
    pub async fn open(args: &LabArgs) -> Result<Self, Problem> {
        let lab = args.read_lab()?;
        let (access, clock) = Access::to_region(args, lab.region.as_deref()).await?;
        let Access { region, sdk } = access;
        Ok(Self { names: Names::new(&lab), tags: Tags::new(&lab), lab, region, sdk, clock })
    }

    /// How a verb of `program` is to be carried out. `arguments` are the command line's, without the program.
    pub fn request(&self, args: &LabArgs, program: &str) -> Request {
        let heading = self.heading();
        let options = repeat_options(args, &heading.owner);
        Request {
            program: program.to_owned(),
            home: Home::of(&self.lab).ok().map(|home| home.path("")),
            json: args.json,
            quiet: false,
            plain: args.plain,
            yes: args.yes,
            budget: self.budget(),
            prices: format!("estimate: list prices of {}, {}", prices::PRICES_REGION, prices::PRICES_OF),
            again: format!("{program} up{options}"),
            down: format!("{program} down{options}"),
            options,
            heading,
        }
    }

    /// `[budget]`, with what the whole lab is estimated to cost.
    fn budget(&self) -> Budget {
        let crate::Budget { usd, ask_above, hours } = self.lab.budget;
        let estimate = estimate(&self.lab);
        let (lab_usd, lab_usd_per_hour) = (estimate.usd_expected(), estimate.usd_per_hour());
        Budget { ask_above, usd, hours, lab_usd, lab_usd_per_hour }
    }

    /// Whether S3 is answered at an endpoint of one's own ([`Access::has_own_s3_endpoint`]).
    pub fn has_own_s3_endpoint(&self) -> bool {
        has_own_s3_endpoint(&self.sdk)
    }

    /// The same lab for a look in which each question is asked once ([`Inquiry`]). Only for those who read.
    pub fn inquiring(self) -> (Self, Inquiry) {
        let (inquiry, sdk) = Inquiry::over(&self.sdk);
        (Self { sdk, ..self }, inquiry)
    }

    /// The way to AWS alone.
    pub fn access(&self) -> Access {
        Access { region: self.region.clone(), sdk: self.sdk.clone() }
    }

    /// Which lab a document speaks of.
    pub fn heading(&self) -> Heading {
        Heading { lab: self.lab.name.clone(), owner: self.lab.owner.clone(), region: self.region.clone() }
    }
}

/// The options that name the same lab again, each with a space before it.
pub fn repeat_options(args: &LabArgs, owner: &str) -> String {
    let lab = args.lab.as_ref().map(|path| path.display().to_string());
    let owner = args.owner.as_ref().map(|_| owner);
    let which = show_options([("--lab", lab.as_deref()), ("--owner", owner)]);
    format!("{which}{}", repeat_access(args, args.region.as_deref()))
}

/// The options that name the same account and this Region again, each with a space before it; AWS's own command line
/// takes the same.
pub fn repeat_access(args: &LabArgs, region: Option<&str>) -> String {
    show_options([
        ("--region", region),
        ("--profile", args.profile.as_deref()),
        ("--endpoint-url", args.endpoint_url.as_deref()),
    ])
}

fn show_options<const N: usize>(options: [(&str, Option<&str>); N]) -> String {
    let given = options.into_iter().filter_map(|(flag, value)| Some(format!(" {flag} {}", quote(value?))));
    given.collect()
}

/// One word as a POSIX shell takes it, in quotes only where it must be.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Says so where `AWS_REGION` names another Region than the one that is used.
pub fn note_other_region(region: &str) {
    if let Ok(other) = std::env::var("AWS_REGION")
        && !other.is_empty()
        && other != region
    {
        print_err(&format!("note: working in {region}, as lab.toml or --region says; AWS_REGION={other} is not used"));
    }
}
