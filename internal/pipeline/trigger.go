package pipeline

// Trigger is why a pipeline starts. The values are those of CI_PIPELINE_SOURCE.
type Trigger string

// The triggers.
const (
	TriggerPush         Trigger = "push"
	TriggerMergeRequest Trigger = "merge_request_event"
	TriggerSchedule     Trigger = "schedule"
	TriggerWeb          Trigger = "web"
	TriggerAPI          Trigger = "api"
	TriggerToken        Trigger = "trigger"         // a trigger token
	TriggerPipeline     Trigger = "pipeline"        // a trigger job of another project
	TriggerParent       Trigger = "parent_pipeline" // a trigger job with include
)
