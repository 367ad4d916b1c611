//! The data path in the calling thread, for the fuzz targets (`fuzz/`): no scheduler, no workers, no session.

use std::sync::Arc;

use super::{Decoded, Pipeline, PredictError, PredictOptions, Prediction, ReadText, owners, view_rules};
use crate::inference::batch::WindowLogits;
use crate::inference::encoded::Encoding;
use crate::inference::tokenize::Window;

impl Pipeline {
    /// As [`Pipeline::predict`], with the logits that `run` gives for the windows of a text.
    #[doc(hidden)]
    pub fn predict_with(
        &self,
        text: Arc<str>,
        options: PredictOptions,
        mut run: impl FnMut(&[Window]) -> Vec<WindowLogits>,
    ) -> Result<Prediction, PredictError> {
        let read = self.run_with(text, options, &mut run)?;
        let Decoded { mut prediction, occlusion } = self.decode(&read, options);
        if let Some(occlusion) = occlusion {
            let row = |text: String| {
                let run = self.run_with(text.into(), options, &mut run)?;
                let owners = owners(&run.reading.sentences, &run.ranges);
                Ok(self.topic_logits(&run, &owners).map(|logits| logits.row))
            };
            let rows: Vec<_> = occlusion.texts().map(row).collect::<Result<_, PredictError>>()?;
            prediction.evidence = Some(occlusion.evidence(&rows));
        }
        Ok(prediction)
    }

    fn run_with(
        &self,
        text: Arc<str>,
        options: PredictOptions,
        run: &mut impl FnMut(&[Window]) -> Vec<WindowLogits>,
    ) -> Result<ReadText, PredictError> {
        let rules = view_rules(options.text_rules.or(self.text_rules));
        let mut encoding = Encoding::begin(text, rules, self.truecaser.as_ref());
        let encoded = loop {
            if let Some(encoded) = encoding.step(&self.tokenizer)? {
                break Arc::new(encoded);
            }
        };
        let reading = self.read(encoded, options)?;
        let ranges = reading.windows.iter().map(|window| window.tokens.clone()).collect();
        let logits = run(&reading.windows);
        Ok(ReadText { reading, ranges, logits })
    }
}
