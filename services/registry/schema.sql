CREATE SCHEMA registry;
CREATE FUNCTION registry.catalogue_revised() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    number bigint;
begin
    update catalogue set revision = revision + 1 returning revision into number;
    if tg_table_name = 'models' and tg_op = 'INSERT' then
        insert into catalogue_changes (position, kind, version, at) values (number, 'published', new.version, now());
    elsif tg_table_name = 'models' then
        insert into catalogue_changes (position, kind, version, reason, at)
        values (number, 'retired', new.version, new.retired_reason, now());
    elsif tg_table_name = 'alias_moves' then
        insert into catalogue_changes (position, kind, version, alias, previous_version, reason, at)
        values (number, 'aliased', new.version, new.alias,
                (select version from alias_moves where alias = new.alias and seq < new.seq order by seq desc limit 1),
                new.reason, now());
    end if;
    perform pg_notify('catalogue_' || tg_table_schema, '');
    return null;
end
$$;
CREATE FUNCTION registry.outbox_notify() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('outbox_' || tg_table_schema, '');
    return null;
end
$$;
CREATE TABLE registry.alias_moves (
    seq bigint NOT NULL,
    alias text NOT NULL,
    version text NOT NULL,
    moved_at timestamp with time zone DEFAULT now() NOT NULL,
    reason text NOT NULL,
    kind text NOT NULL,
    CONSTRAINT alias_moves_kind_check CHECK ((kind = ANY (ARRAY['publication'::text, 'move'::text, 'rollback'::text])))
);
ALTER TABLE registry.alias_moves ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME registry.alias_moves_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE registry.attempts (
    round_id uuid NOT NULL,
    fence bigint NOT NULL,
    core_seconds double precision NOT NULL,
    gpu_seconds double precision NOT NULL,
    cpu_joules double precision,
    gpu_joules double precision,
    told_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT attempts_core_seconds_check CHECK ((core_seconds >= (0)::double precision)),
    CONSTRAINT attempts_cpu_joules_check CHECK ((cpu_joules >= (0)::double precision)),
    CONSTRAINT attempts_gpu_joules_check CHECK ((gpu_joules >= (0)::double precision)),
    CONSTRAINT attempts_gpu_seconds_check CHECK ((gpu_seconds >= (0)::double precision))
);
CREATE TABLE registry.catalogue (
    one boolean DEFAULT true NOT NULL,
    revision bigint NOT NULL,
    CONSTRAINT catalogue_one_check CHECK (one)
);
CREATE TABLE registry.catalogue_changes (
    "position" bigint NOT NULL,
    kind text NOT NULL,
    version text NOT NULL,
    alias text,
    previous_version text,
    reason text,
    at timestamp with time zone NOT NULL,
    CONSTRAINT catalogue_changes_check CHECK (((kind = 'aliased'::text) = (alias IS NOT NULL))),
    CONSTRAINT catalogue_changes_kind_check CHECK ((kind = ANY (ARRAY['published'::text, 'aliased'::text, 'retired'::text])))
);
CREATE TABLE registry.checkpoints (
    round_id uuid NOT NULL,
    step integer NOT NULL,
    fence bigint NOT NULL,
    blob jsonb NOT NULL,
    stored_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT checkpoints_step_check CHECK ((step >= 0))
);
CREATE TABLE registry.contributors_words (
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    withdrawn text,
    credit jsonb,
    CONSTRAINT contributors_words_version_check CHECK ((version > 0))
);
CREATE TABLE registry.datasets (
    dataset_id uuid NOT NULL,
    version integer NOT NULL,
    arrival bigint NOT NULL,
    arrived_at timestamp with time zone DEFAULT now() NOT NULL,
    title text NOT NULL,
    authors text[] NOT NULL,
    licence text NOT NULL,
    private boolean NOT NULL,
    manifest jsonb NOT NULL,
    metric_report jsonb NOT NULL,
    train_frames integer NOT NULL,
    nearest_branch text,
    energy_shift_ev jsonb NOT NULL,
    traceparent text,
    state text DEFAULT 'waiting'::text NOT NULL,
    reason text,
    relative_weight double precision,
    content_sha256 text,
    CONSTRAINT datasets_relative_weight_check CHECK ((relative_weight > (0)::double precision)),
    CONSTRAINT datasets_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'reserved'::text, 'training'::text, 'published'::text, 'withheld'::text, 'failed'::text, 'withdrawn'::text]))),
    CONSTRAINT datasets_train_frames_check CHECK ((train_frames >= 0)),
    CONSTRAINT datasets_version_check CHECK ((version > 0))
);
ALTER TABLE registry.datasets ALTER COLUMN arrival ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME registry.datasets_arrival_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE registry.inbox (
    consumer text NOT NULL,
    event_id uuid NOT NULL,
    handled timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE registry.inquiries (
    inquiry_id uuid NOT NULL,
    sequence bigint NOT NULL,
    kind text NOT NULL,
    round_id uuid NOT NULL,
    begun_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    outcome text,
    CONSTRAINT inquiries_check CHECK (((ended_at IS NULL) = (outcome IS NULL))),
    CONSTRAINT inquiries_kind_check CHECK ((kind = ANY (ARRAY['bisect'::text, 'rerun'::text])))
);
ALTER TABLE registry.inquiries ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME registry.inquiries_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE registry.inquiry_groups (
    inquiry_id uuid NOT NULL,
    number integer NOT NULL,
    members bigint[] NOT NULL,
    state text NOT NULL,
    sibling integer,
    suspected boolean NOT NULL,
    round_id uuid,
    CONSTRAINT inquiry_groups_members_check CHECK ((cardinality(members) > 0)),
    CONSTRAINT inquiry_groups_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'training'::text, 'published'::text, 'split'::text, 'set-aside'::text, 'released'::text])))
);
CREATE TABLE registry.line (
    one boolean DEFAULT true NOT NULL,
    paused_at timestamp with time zone,
    reason text,
    CONSTRAINT line_check CHECK (((paused_at IS NULL) = (reason IS NULL))),
    CONSTRAINT line_one_check CHECK (one)
);
CREATE TABLE registry.models (
    version text NOT NULL,
    major integer NOT NULL,
    minor integer NOT NULL,
    parent_version text,
    round_id uuid NOT NULL,
    preset text NOT NULL,
    manifest jsonb NOT NULL,
    files jsonb NOT NULL,
    rules jsonb NOT NULL,
    standard_score double precision NOT NULL,
    contributors text[] NOT NULL,
    published_at timestamp with time zone NOT NULL,
    retired_at timestamp with time zone,
    retired_reason text,
    checks jsonb DEFAULT '[]'::jsonb NOT NULL,
    deepmd_version text,
    CONSTRAINT models_retired CHECK (((retired_at IS NULL) = (retired_reason IS NULL)))
);
CREATE TABLE registry.outbox (
    seq bigint NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    subject text NOT NULL,
    type text NOT NULL,
    about text NOT NULL,
    occurred timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    traceparent text,
    body text NOT NULL
);
ALTER TABLE registry.outbox ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME registry.outbox_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE registry.receipts (
    round_id uuid NOT NULL,
    dataset_id uuid NOT NULL,
    dataset_version integer NOT NULL,
    key_id text NOT NULL,
    document text NOT NULL
);
CREATE TABLE registry.round_branches (
    round_id uuid NOT NULL,
    "position" integer NOT NULL,
    name text NOT NULL,
    dataset_id uuid NOT NULL,
    dataset_version integer NOT NULL,
    is_new boolean NOT NULL,
    weight double precision NOT NULL,
    energy_rmse_mev_per_atom double precision,
    force_rmse_mev_per_angstrom double precision,
    left_out_frames integer[] DEFAULT '{}'::integer[] NOT NULL,
    CONSTRAINT round_branches_weight_check CHECK (((weight > (0)::double precision) AND (weight <= (1)::double precision)))
);
CREATE TABLE registry.rounds (
    round_id uuid NOT NULL,
    sequence bigint NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    parent_version text,
    preset text NOT NULL,
    total_steps integer NOT NULL,
    seed bigint NOT NULL,
    traceparent text,
    planned_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    fence bigint DEFAULT 0 NOT NULL,
    worker text,
    lease_expires_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    step integer DEFAULT 0 NOT NULL,
    reported_step integer,
    reason text,
    rules jsonb,
    model_version text,
    collected boolean DEFAULT false NOT NULL,
    divergences integer DEFAULT 0 NOT NULL,
    held_up text,
    outages integer DEFAULT 0 NOT NULL,
    CONSTRAINT rounds_check CHECK (((state = 'training'::text) = ((worker IS NOT NULL) AND (lease_expires_at IS NOT NULL)))),
    CONSTRAINT rounds_check2 CHECK (((state = 'published'::text) = (model_version IS NOT NULL))),
    CONSTRAINT rounds_ended CHECK (((state = ANY (ARRAY['published'::text, 'withheld'::text, 'failed'::text, 'cancelled'::text])) = (ended_at IS NOT NULL))),
    CONSTRAINT rounds_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'training'::text, 'published'::text, 'withheld'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT rounds_total_steps_check CHECK ((total_steps > 0))
);
ALTER TABLE registry.rounds ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME registry.rounds_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE registry.schema_migration (
    name text NOT NULL,
    sha256 text NOT NULL,
    applied timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE registry.scorings (
    model_version text NOT NULL,
    standard integer NOT NULL,
    fence bigint DEFAULT 0 NOT NULL,
    worker text,
    lease_expires_at timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    reason text,
    done_at timestamp with time zone,
    CONSTRAINT scorings_check CHECK (((worker IS NULL) = (lease_expires_at IS NULL))),
    CONSTRAINT scorings_check1 CHECK (((done_at IS NULL) OR (worker IS NULL)))
);
CREATE TABLE registry.signing_keys (
    key_id text NOT NULL,
    public_key text NOT NULL,
    since timestamp with time zone DEFAULT now() NOT NULL,
    until timestamp with time zone
);
CREATE TABLE registry.standard_branches (
    number integer NOT NULL,
    "position" integer NOT NULL,
    branch text NOT NULL,
    dataset_id uuid NOT NULL,
    dataset_version integer NOT NULL,
    frames bytea NOT NULL,
    frames_sha256 text NOT NULL,
    baseline_energy_rmse_mev_per_atom double precision NOT NULL,
    baseline_force_rmse_mev_per_angstrom double precision NOT NULL,
    baseline_element_energies jsonb,
    CONSTRAINT standard_branches_baseline_energy_rmse_mev_per_atom_check CHECK ((baseline_energy_rmse_mev_per_atom > (0)::double precision)),
    CONSTRAINT standard_branches_baseline_force_rmse_mev_per_angstrom_check CHECK ((baseline_force_rmse_mev_per_angstrom > (0)::double precision)),
    CONSTRAINT standard_branches_frames_check CHECK (((length(frames) > 0) AND ((length(frames) % 32) = 0)))
);
CREATE TABLE registry.standard_errors (
    model_version text NOT NULL,
    dataset_id uuid NOT NULL,
    dataset_version integer NOT NULL,
    frames_sha256 text NOT NULL,
    energy_rmse_mev_per_atom double precision NOT NULL,
    force_rmse_mev_per_angstrom double precision NOT NULL,
    zero_shot boolean NOT NULL
);
CREATE TABLE registry.standard_overlaps (
    dataset_id uuid NOT NULL,
    dataset_version integer NOT NULL,
    standard integer NOT NULL,
    training_frames integer[]
);
CREATE TABLE registry.standard_scores (
    model_version text NOT NULL,
    standard integer NOT NULL,
    score jsonb NOT NULL,
    scored_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE registry.standard_versions (
    number integer NOT NULL,
    model_version text NOT NULL,
    seed bigint NOT NULL,
    frames_per_branch integer NOT NULL,
    content jsonb NOT NULL,
    released_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT standard_versions_frames_per_branch_check CHECK ((frames_per_branch > 0)),
    CONSTRAINT standard_versions_number_check CHECK ((number > 0))
);
CREATE TABLE registry.workers (
    worker_id text NOT NULL,
    hostname text NOT NULL,
    gpus jsonb NOT NULL,
    cpu_name text NOT NULL,
    cpu_cores integer NOT NULL,
    memory_bytes bigint NOT NULL,
    presets text[] NOT NULL,
    deepmd_version text NOT NULL,
    torch_version text NOT NULL,
    launcher text NOT NULL,
    processes integer NOT NULL,
    first_seen timestamp with time zone DEFAULT now() NOT NULL,
    last_seen timestamp with time zone DEFAULT now() NOT NULL,
    refusal text
);
ALTER TABLE ONLY registry.alias_moves
    ADD CONSTRAINT alias_moves_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY registry.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (round_id, fence);
ALTER TABLE ONLY registry.catalogue_changes
    ADD CONSTRAINT catalogue_changes_pkey PRIMARY KEY ("position");
ALTER TABLE ONLY registry.catalogue
    ADD CONSTRAINT catalogue_pkey PRIMARY KEY (one);
ALTER TABLE ONLY registry.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (round_id, step);
ALTER TABLE ONLY registry.contributors_words
    ADD CONSTRAINT contributors_words_pkey PRIMARY KEY (dataset_id, version);
ALTER TABLE ONLY registry.datasets
    ADD CONSTRAINT datasets_arrival_key UNIQUE (arrival);
ALTER TABLE ONLY registry.datasets
    ADD CONSTRAINT datasets_pkey PRIMARY KEY (dataset_id, version);
ALTER TABLE ONLY registry.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (consumer, event_id);
ALTER TABLE ONLY registry.inquiries
    ADD CONSTRAINT inquiries_pkey PRIMARY KEY (inquiry_id);
ALTER TABLE ONLY registry.inquiries
    ADD CONSTRAINT inquiries_sequence_key UNIQUE (sequence);
ALTER TABLE ONLY registry.inquiry_groups
    ADD CONSTRAINT inquiry_groups_pkey PRIMARY KEY (inquiry_id, number);
ALTER TABLE ONLY registry.line
    ADD CONSTRAINT line_pkey PRIMARY KEY (one);
ALTER TABLE ONLY registry.models
    ADD CONSTRAINT models_major_minor_key UNIQUE (major, minor);
ALTER TABLE ONLY registry.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (version);
ALTER TABLE ONLY registry.models
    ADD CONSTRAINT models_round_id_key UNIQUE (round_id);
ALTER TABLE ONLY registry.outbox
    ADD CONSTRAINT outbox_id_key UNIQUE (id);
ALTER TABLE ONLY registry.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY registry.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (round_id, dataset_id, dataset_version);
ALTER TABLE ONLY registry.round_branches
    ADD CONSTRAINT round_branches_pkey PRIMARY KEY (round_id, "position");
ALTER TABLE ONLY registry.round_branches
    ADD CONSTRAINT round_branches_round_id_name_key UNIQUE (round_id, name);
ALTER TABLE ONLY registry.rounds
    ADD CONSTRAINT rounds_pkey PRIMARY KEY (round_id);
ALTER TABLE ONLY registry.rounds
    ADD CONSTRAINT rounds_sequence_key UNIQUE (sequence);
ALTER TABLE ONLY registry.schema_migration
    ADD CONSTRAINT schema_migration_pkey PRIMARY KEY (name);
ALTER TABLE ONLY registry.scorings
    ADD CONSTRAINT scorings_pkey PRIMARY KEY (model_version);
ALTER TABLE ONLY registry.signing_keys
    ADD CONSTRAINT signing_keys_pkey PRIMARY KEY (key_id);
ALTER TABLE ONLY registry.standard_branches
    ADD CONSTRAINT standard_branches_number_dataset_id_dataset_version_key UNIQUE (number, dataset_id, dataset_version);
ALTER TABLE ONLY registry.standard_branches
    ADD CONSTRAINT standard_branches_pkey PRIMARY KEY (number, "position");
ALTER TABLE ONLY registry.standard_errors
    ADD CONSTRAINT standard_errors_pkey PRIMARY KEY (model_version, dataset_id, dataset_version, frames_sha256);
ALTER TABLE ONLY registry.standard_overlaps
    ADD CONSTRAINT standard_overlaps_pkey PRIMARY KEY (dataset_id, dataset_version, standard);
ALTER TABLE ONLY registry.standard_scores
    ADD CONSTRAINT standard_scores_pkey PRIMARY KEY (model_version, standard);
ALTER TABLE ONLY registry.standard_versions
    ADD CONSTRAINT standard_versions_pkey PRIMARY KEY (number);
ALTER TABLE ONLY registry.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (worker_id);
CREATE INDEX alias_moves_by_alias ON registry.alias_moves USING btree (alias, seq DESC);
CREATE INDEX datasets_waiting ON registry.datasets USING btree (arrival) WHERE (state = 'waiting'::text);
CREATE UNIQUE INDEX inquiries_one_open ON registry.inquiries USING btree ((true)) WHERE (ended_at IS NULL);
CREATE INDEX inquiry_groups_round ON registry.inquiry_groups USING btree (round_id);
CREATE UNIQUE INDEX rounds_one_open ON registry.rounds USING btree ((true)) WHERE (state = ANY (ARRAY['waiting'::text, 'training'::text]));
CREATE INDEX workers_last_seen ON registry.workers USING btree (last_seen);
CREATE CONSTRAINT TRIGGER catalogue_aliased AFTER INSERT ON registry.alias_moves DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION registry.catalogue_revised();
CREATE CONSTRAINT TRIGGER catalogue_datasets AFTER UPDATE OF state, title, authors, licence, private ON registry.datasets DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((((((old.state = 'withdrawn'::text) IS DISTINCT FROM (new.state = 'withdrawn'::text)) OR (old.title IS DISTINCT FROM new.title)) OR (old.authors IS DISTINCT FROM new.authors)) OR (old.licence IS DISTINCT FROM new.licence)) OR (old.private IS DISTINCT FROM new.private))) EXECUTE FUNCTION registry.catalogue_revised();
CREATE CONSTRAINT TRIGGER catalogue_published AFTER INSERT ON registry.models DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION registry.catalogue_revised();
CREATE CONSTRAINT TRIGGER catalogue_retired AFTER UPDATE OF retired_at ON registry.models DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((old.retired_at IS NULL) AND (new.retired_at IS NOT NULL))) EXECUTE FUNCTION registry.catalogue_revised();
CREATE CONSTRAINT TRIGGER catalogue_scored AFTER INSERT ON registry.standard_scores DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION registry.catalogue_revised();
CREATE CONSTRAINT TRIGGER catalogue_standard AFTER INSERT ON registry.standard_versions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION registry.catalogue_revised();
CREATE TRIGGER outbox_notify AFTER INSERT ON registry.outbox FOR EACH STATEMENT EXECUTE FUNCTION registry.outbox_notify();
ALTER TABLE ONLY registry.alias_moves
    ADD CONSTRAINT alias_moves_version_fkey FOREIGN KEY (version) REFERENCES registry.models(version);
ALTER TABLE ONLY registry.attempts
    ADD CONSTRAINT attempts_round_id_fkey FOREIGN KEY (round_id) REFERENCES registry.rounds(round_id);
ALTER TABLE ONLY registry.checkpoints
    ADD CONSTRAINT checkpoints_round_id_fkey FOREIGN KEY (round_id) REFERENCES registry.rounds(round_id);
ALTER TABLE ONLY registry.inquiries
    ADD CONSTRAINT inquiries_round_id_fkey FOREIGN KEY (round_id) REFERENCES registry.rounds(round_id);
ALTER TABLE ONLY registry.inquiry_groups
    ADD CONSTRAINT inquiry_groups_inquiry_id_fkey FOREIGN KEY (inquiry_id) REFERENCES registry.inquiries(inquiry_id);
ALTER TABLE ONLY registry.inquiry_groups
    ADD CONSTRAINT inquiry_groups_round_id_fkey FOREIGN KEY (round_id) REFERENCES registry.rounds(round_id);
ALTER TABLE ONLY registry.models
    ADD CONSTRAINT models_parent_version_fkey FOREIGN KEY (parent_version) REFERENCES registry.models(version);
ALTER TABLE ONLY registry.models
    ADD CONSTRAINT models_round_id_fkey FOREIGN KEY (round_id) REFERENCES registry.rounds(round_id);
ALTER TABLE ONLY registry.receipts
    ADD CONSTRAINT receipts_dataset_id_dataset_version_fkey FOREIGN KEY (dataset_id, dataset_version) REFERENCES registry.datasets(dataset_id, version);
ALTER TABLE ONLY registry.receipts
    ADD CONSTRAINT receipts_round_id_fkey FOREIGN KEY (round_id) REFERENCES registry.rounds(round_id);
ALTER TABLE ONLY registry.round_branches
    ADD CONSTRAINT round_branches_dataset_id_dataset_version_fkey FOREIGN KEY (dataset_id, dataset_version) REFERENCES registry.datasets(dataset_id, version);
ALTER TABLE ONLY registry.round_branches
    ADD CONSTRAINT round_branches_round_id_fkey FOREIGN KEY (round_id) REFERENCES registry.rounds(round_id);
ALTER TABLE ONLY registry.rounds
    ADD CONSTRAINT rounds_model_version_fkey FOREIGN KEY (model_version) REFERENCES registry.models(version);
ALTER TABLE ONLY registry.rounds
    ADD CONSTRAINT rounds_parent_version_fkey FOREIGN KEY (parent_version) REFERENCES registry.models(version);
ALTER TABLE ONLY registry.scorings
    ADD CONSTRAINT scorings_model_version_fkey FOREIGN KEY (model_version) REFERENCES registry.models(version);
ALTER TABLE ONLY registry.scorings
    ADD CONSTRAINT scorings_standard_fkey FOREIGN KEY (standard) REFERENCES registry.standard_versions(number);
ALTER TABLE ONLY registry.standard_branches
    ADD CONSTRAINT standard_branches_dataset_id_dataset_version_fkey FOREIGN KEY (dataset_id, dataset_version) REFERENCES registry.datasets(dataset_id, version);
ALTER TABLE ONLY registry.standard_branches
    ADD CONSTRAINT standard_branches_number_fkey FOREIGN KEY (number) REFERENCES registry.standard_versions(number);
ALTER TABLE ONLY registry.standard_errors
    ADD CONSTRAINT standard_errors_model_version_fkey FOREIGN KEY (model_version) REFERENCES registry.models(version);
ALTER TABLE ONLY registry.standard_overlaps
    ADD CONSTRAINT standard_overlaps_dataset_id_dataset_version_fkey FOREIGN KEY (dataset_id, dataset_version) REFERENCES registry.datasets(dataset_id, version);
ALTER TABLE ONLY registry.standard_overlaps
    ADD CONSTRAINT standard_overlaps_standard_fkey FOREIGN KEY (standard) REFERENCES registry.standard_versions(number);
ALTER TABLE ONLY registry.standard_scores
    ADD CONSTRAINT standard_scores_model_version_fkey FOREIGN KEY (model_version) REFERENCES registry.models(version);
ALTER TABLE ONLY registry.standard_scores
    ADD CONSTRAINT standard_scores_standard_fkey FOREIGN KEY (standard) REFERENCES registry.standard_versions(number);
ALTER TABLE ONLY registry.standard_versions
    ADD CONSTRAINT standard_versions_model_version_fkey FOREIGN KEY (model_version) REFERENCES registry.models(version);
