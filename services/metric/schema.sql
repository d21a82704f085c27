CREATE SCHEMA metric;
CREATE FUNCTION metric.outbox_notify() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('outbox_' || tg_table_schema, '');
    return null;
end
$$;
CREATE TABLE metric.inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    handled timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE metric.outbox (
    seq bigint NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    subject text NOT NULL,
    type text NOT NULL,
    about text NOT NULL,
    occurred timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    traceparent text,
    body text NOT NULL
);
ALTER TABLE metric.outbox ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME metric.outbox_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE metric.reruns (
    rerun_id uuid NOT NULL,
    run_id uuid NOT NULL,
    requested timestamp with time zone DEFAULT now() NOT NULL,
    repeated boolean NOT NULL,
    same boolean NOT NULL,
    sentence text NOT NULL,
    outcome_before text,
    outcome_after text,
    numbers integer NOT NULL,
    differing integer NOT NULL,
    largest_relative_difference double precision NOT NULL,
    versions_changed jsonb NOT NULL,
    report jsonb,
    CONSTRAINT reruns_check CHECK ((repeated OR (NOT same))),
    CONSTRAINT reruns_check1 CHECK (((repeated = (report IS NOT NULL)) AND (repeated = (outcome_before IS NOT NULL)) AND (repeated = (outcome_after IS NOT NULL)))),
    CONSTRAINT reruns_outcome_after_check CHECK ((outcome_after = ANY (ARRAY['passed'::text, 'covered'::text, 'not-sound'::text]))),
    CONSTRAINT reruns_outcome_before_check CHECK ((outcome_before = ANY (ARRAY['passed'::text, 'covered'::text, 'not-sound'::text])))
);
CREATE TABLE metric.runs (
    run_id uuid DEFAULT gen_random_uuid() NOT NULL,
    event_id uuid NOT NULL,
    dataset_id uuid NOT NULL,
    dataset_version integer NOT NULL,
    model_version text,
    model_manifest jsonb,
    started timestamp with time zone DEFAULT now() NOT NULL,
    finished timestamp with time zone,
    outcome text,
    coverage double precision,
    failed_frames integer,
    report jsonb,
    dataset_manifest jsonb,
    dataset_content_sha256 text,
    settings jsonb,
    versions jsonb,
    seed integer,
    device text,
    open_tries integer DEFAULT 0 NOT NULL,
    CONSTRAINT runs_check CHECK (((model_version IS NULL) = (model_manifest IS NULL))),
    CONSTRAINT runs_check1 CHECK ((((finished IS NULL) = (outcome IS NULL)) AND ((finished IS NULL) = (report IS NULL)))),
    CONSTRAINT runs_outcome_check CHECK ((outcome = ANY (ARRAY['passed'::text, 'covered'::text, 'not-sound'::text])))
);
CREATE TABLE metric.schema_migration (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied timestamp with time zone DEFAULT now() NOT NULL
);
ALTER TABLE ONLY metric.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id);
ALTER TABLE ONLY metric.outbox
    ADD CONSTRAINT outbox_id_key UNIQUE (id);
ALTER TABLE ONLY metric.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY metric.reruns
    ADD CONSTRAINT reruns_pkey PRIMARY KEY (rerun_id);
ALTER TABLE ONLY metric.runs
    ADD CONSTRAINT runs_event_id_key UNIQUE (event_id);
ALTER TABLE ONLY metric.runs
    ADD CONSTRAINT runs_pkey PRIMARY KEY (run_id);
ALTER TABLE ONLY metric.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (name);
CREATE INDEX reruns_by_run ON metric.reruns USING btree (run_id);
CREATE INDEX runs_by_dataset ON metric.runs USING btree (dataset_id, dataset_version);
CREATE TRIGGER outbox_notify AFTER INSERT ON metric.outbox FOR EACH STATEMENT EXECUTE FUNCTION metric.outbox_notify();
