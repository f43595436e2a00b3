private import Glibc
private import Synchronization

/// A thread of its own for an actor that calls blocking C functions, so that it never holds up the cooperative pool.
///
/// An actor returns it as `unownedExecutor` and keeps it in a stored property. Jobs run one at a time in the order of
/// their arrival. The thread ends when the executor is released.
public final class BlockingThread: SerialExecutor {
    private let queue: JobQueue

    /// Starts a thread. `name` shows in debuggers (15 bytes at most).
    public init(name: String) {
        queue = JobQueue()
        startThread(name: name) { [queue] in queue.runUntilClosed() }
    }

    deinit { queue.close() }

    /// Hands a job to the thread.
    public func enqueue(_ job: consuming ExecutorJob) {
        unsafe queue.push(Job(job: UnownedJob(job), executor: asUnownedSerialExecutor()))
    }
}

/// Starts a detached thread that runs `body` once.
public func startThread(name: String, _ body: @escaping @Sendable () -> Void) {
    let box = unsafe Unmanaged.passRetained(ThreadBody(name: name, run: body))
    var thread = pthread_t()
    let result = unsafe pthread_create(
        &thread, nil,
        { argument in
            guard let argument = unsafe argument else { return nil }
            let body = unsafe Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue()
            nameThisThread(body.name)
            body.run()
            return nil
        }, box.toOpaque())
    guard result == 0 else { fatalError("cannot start a thread: error \(result)") }
    pthread_detach(thread)
}

/// Gives the calling thread a name (proc(5), `/proc/thread-self/comm`). A system without that file keeps the old name.
private func nameThisThread(_ name: String) {
    guard let file = unsafe fopen("/proc/thread-self/comm", "w") else { return }
    unsafe fputs(name, file)
    unsafe fclose(file)
}

private final class ThreadBody: Sendable {
    let name: String
    let run: @Sendable () -> Void

    init(name: String, run: @escaping @Sendable () -> Void) {
        self.name = name
        self.run = run
    }
}

@safe private struct Job: @unchecked Sendable {
    var job: UnownedJob
    var executor: UnownedSerialExecutor
}

/// Jobs that wait for one thread, with a condition variable to wake it.
@safe private final class JobQueue: @unchecked Sendable {
    private var jobs: [Job] = []
    private var isClosed = false
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wakeUp = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(wakeUp, nil)
    }

    deinit {
        unsafe pthread_cond_destroy(wakeUp)
        unsafe pthread_mutex_destroy(mutex)
        unsafe wakeUp.deallocate()
        unsafe mutex.deallocate()
    }

    func push(_ job: Job) {
        unsafe pthread_mutex_lock(mutex)
        jobs.append(job)
        unsafe pthread_cond_signal(wakeUp)
        unsafe pthread_mutex_unlock(mutex)
    }

    func close() {
        unsafe pthread_mutex_lock(mutex)
        isClosed = true
        unsafe pthread_cond_signal(wakeUp)
        unsafe pthread_mutex_unlock(mutex)
    }

    func runUntilClosed() {
        while true {
            let batch = takeAll()
            if batch.isEmpty { return }
            for job in batch { unsafe job.job.runSynchronously(on: job.executor) }
        }
    }

    /// All waiting jobs, after waiting for one; empty when the queue is closed.
    private func takeAll() -> [Job] {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while jobs.isEmpty && !isClosed { unsafe pthread_cond_wait(wakeUp, mutex) }
        defer { jobs.removeAll(keepingCapacity: true) }
        return jobs
    }
}
