//! A plugin of QEMU's user mode that counts the guest's instructions between two system calls.
//!
//! The guest calls `prctl(BEGIN, id)` and `prctl(END, id)`, which a real kernel answers with EINVAL. When it ends, a line `id
//! calls instructions` for each id goes to standard error. API version 1, as of QEMU 6 to 8; the functions are declared here since
//! Debian has no header for them.
#![allow(clippy::missing_safety_doc)]

use std::ffi::{c_char, c_int, c_uint, c_void};
use std::sync::Mutex;

const BEGIN: i64 = 0x1c0_0001;
const END: i64 = 0x1c0_0002;
const INLINE_ADD_U64: c_int = 0;

type SyscallCallback = extern "C" fn(u64, c_uint, i64, u64, u64, u64, u64, u64, u64, u64, u64);

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: extern "C" fn(u64, *mut c_void));
    fn qemu_plugin_register_vcpu_tb_exec_inline(block: *mut c_void, operation: c_int, at: *mut c_void, immediate: u64);
    fn qemu_plugin_register_vcpu_syscall_cb(id: u64, callback: SyscallCallback);
    fn qemu_plugin_register_atexit_cb(id: u64, callback: extern "C" fn(u64, *mut c_void), data: *mut c_void);
    fn qemu_plugin_tb_n_insns(block: *const c_void) -> usize;
}

#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

/// Instructions so far; QEMU's generated code adds to it.
static mut COUNT: u64 = 0;
/// Id, calls, instructions, count at the beginning of the open one.
static REGIONS: Mutex<Vec<(u64, u64, u64, Option<u64>)>> = Mutex::new(Vec::new());

extern "C" fn translated(_: u64, block: *mut c_void) {
    // SAFETY: QEMU gives a valid block; the counter lives as long as the process.
    unsafe {
        let count = qemu_plugin_tb_n_insns(block) as u64;
        qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, (&raw mut COUNT).cast(), count);
    }
}

#[allow(clippy::too_many_arguments)]
extern "C" fn called(_: u64, _: c_uint, _: i64, what: u64, id: u64, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64) {
    // SAFETY: the one thread of the guest is in this call.
    let now = unsafe { (&raw const COUNT).read() };
    let mut regions = REGIONS.lock().expect("no panic holds it");
    match what as i64 {
        BEGIN => match regions.iter_mut().find(|region| region.0 == id) {
            Some(region) => region.3 = Some(now),
            None => regions.push((id, 0, 0, Some(now))),
        },
        END => {
            if let Some(region) = regions.iter_mut().find(|region| region.0 == id) {
                if let Some(begin) = region.3.take() {
                    region.1 += 1;
                    region.2 += now - begin;
                }
            }
        }
        _ => {}
    }
}

extern "C" fn ended(_: u64, _: *mut c_void) {
    // SAFETY: the guest has ended.
    eprintln!("icount total 1 {}", unsafe { (&raw const COUNT).read() });
    for (id, calls, instructions, _) in REGIONS.lock().expect("no panic holds it").iter() {
        eprintln!("icount {id} {calls} {instructions}");
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(id: u64, _: *const c_void, _: c_int, _: *const *const c_char) -> c_int {
    // SAFETY: as QEMU's documentation has it.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_vcpu_syscall_cb(id, called);
        qemu_plugin_register_atexit_cb(id, ended, std::ptr::null_mut());
    }
    0
}
