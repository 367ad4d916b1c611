//! Evidence for the topics of a model that gives one row of logits for a text: the text is run again without each passage.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Pipeline, PredictError, PredictOptions};
use crate::inference::encoded::Document;
use crate::inference::evidence::{Evidence, Occlusion};
use crate::inference::scheduler::{Admission, RequestContext};
use crate::inference::stitch::owners;
use crate::manifest::text_rules::{TextRule, TextRules, TextSwitch};

impl Pipeline {
    /// Reads the text again without each of its passages; returns the evidence and the number of windows that were run.
    pub(super) async fn measure(
        self: &Arc<Self>,
        occlusion: &Occlusion,
        options: PredictOptions,
    ) -> Result<(Evidence, usize), PredictError> {
        /// Texts that are read at the same time.
        const N_AT_ONCE: usize = 4;
        let context = RequestContext { admission: Admission::Wait, ..options.context };
        // The view has no markup and no hyphens at line ends any more.
        let done = [TextRule::Html, TextRule::Hyphens].map(|rule| TextSwitch { rule, is_on: false });
        let text_rules = done.into_iter().collect::<TextRules>().or(options.text_rules);
        let options = PredictOptions { context, text_rules, ..options };
        let row = |text: String| async move {
            let run = self.run(Document::new(text.into()), options).await?;
            let logits = self.topic_logits(&run, &owners(&run.reading.sentences, &run.ranges));
            Ok::<_, PredictError>((logits.map(|logits| logits.row), run.ranges.len()))
        };
        let runs: Vec<_> = stream::iter(occlusion.texts()).map(row).buffered(N_AT_ONCE).try_collect().await?;
        let (rows, n_windows): (Vec<_>, Vec<usize>) = runs.into_iter().unzip();
        Ok((occlusion.evidence(&rows), n_windows.iter().sum()))
    }
}
