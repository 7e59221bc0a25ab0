-- A template that nobody uses any more can be removed, with its versions, trials and publications.
--
-- Only rights are added; the version before this one runs beside it.

GRANT DELETE ON templates, template_versions, template_publications, template_trials TO certmill_api;
