-- +goose Up

-- Where a connection leads: the environment that its configuration names and the origin of its API. Another provider,
-- environment or origin under the same name is refused, because its answers would land in the same streams. Empty: not
-- known yet, or there is none.
ALTER TABLE connections ADD COLUMN environment text NOT NULL DEFAULT '';
ALTER TABLE connections ADD COLUMN origin text NOT NULL DEFAULT '';
