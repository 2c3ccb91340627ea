package lakeward

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// TaskID identifies a task; it is derived, so that a subject never has two.
type TaskID string

// NewTaskID derives the id of the task of a kind for one subject of a sandbox.
func NewTaskID(sandbox string, kind TaskKind, subject string) TaskID {
	sum := sha256.Sum256([]byte("lakeward/task/v1\n" + sandbox + "\n" + string(kind) + "\n" + subject))
	return TaskID(formatUUID([16]byte(sum[:16]), 8))
}

// TaskKind says what a task does.
type TaskKind string

// The kinds.
const (
	EvaluationTask TaskKind = "evaluation" // decides the members of audiences
)

// TaskState says how far a task is (SEG-05).
type TaskState string

// The states.
const (
	TaskQueued     TaskState = "QUEUED"
	TaskProcessing TaskState = "PROCESSING"
	TaskSucceeded  TaskState = "SUCCEEDED"
	TaskFailed     TaskState = "FAILED"
	TaskCancelled  TaskState = "CANCELLED"
)

// To returns the state that follows s, or an error if the step is not allowed.
func (s TaskState) To(next TaskState) (TaskState, error) {
	allowed := map[TaskState][]TaskState{
		TaskQueued:     {TaskProcessing, TaskCancelled},
		TaskProcessing: {TaskQueued, TaskSucceeded, TaskFailed, TaskCancelled},
	}
	if slices.Contains(allowed[s], next) {
		return next, nil
	}
	return s, &Error{Kind: Conflict, Code: "TASK-1001", Msg: fmt.Sprintf("a task that is %s cannot become %s", s, next)}
}

// Closed reports whether nothing more happens to the task.
func (s TaskState) Closed() bool { return s != TaskQueued && s != TaskProcessing }

// Task is work that the service does for itself, beside the runs. Its row is its place in the queue.
type Task struct {
	ID        TaskID     `json:"id"`
	Sandbox   string     `json:"sandbox"`
	Kind      TaskKind   `json:"kind"`
	Subject   string     `json:"subject"` // what it is about, once for each kind
	State     TaskState  `json:"state"`
	Attempt   int        `json:"attempt"` // the fencing token, as that of a run
	NotBefore *time.Time `json:"notBefore,omitempty"`
	Cause     *Cause     `json:"cause,omitempty"`
	CreatedAt time.Time  `json:"createdAt"`
	StartedAt *time.Time `json:"startedAt,omitempty"`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
	TaskWork
}

// TaskWork is what a task of its kind has to do and has done; one of the fields is set.
type TaskWork struct {
	Evaluation *Evaluation `json:"evaluation,omitempty"`
}

// NewEvaluation returns a queued evaluation for a subject.
func NewEvaluation(sandbox, subject string, e Evaluation, at time.Time) Task {
	return Task{ID: NewTaskID(sandbox, EvaluationTask, subject), Sandbox: sandbox, Kind: EvaluationTask, Subject: subject, State: TaskQueued, Attempt: 1,
		CreatedAt: at, TaskWork: TaskWork{Evaluation: &e}}
}

// Err is why a closed task did not do its work, nil if it did.
func (t Task) Err() error {
	if t.State == TaskSucceeded || !t.State.Closed() {
		return nil
	}
	e := &Error{Kind: Conflict, Code: "TASK-1003", Msg: fmt.Sprintf("the %s %s is %s", t.Kind, t.ID, t.State)}
	if t.Cause != nil {
		e.Code, e.Msg = t.Cause.Code, t.Cause.Message
	}
	return e
}
